"""The losses of classification, for hard and soft targets.

All but F1 are means over images, so that a batch that is computed in parts has the same gradients.  F1 is computed from
the counts of the images that are computed at once.
"""

from __future__ import annotations

import math

import torch
from torch.nn import functional

from sightline.tasks.classification.loss_settings import LabelSetHead, Loss, terms_of

_SMALLEST = 1e-7


def label_set_loss(
    logits: torch.Tensor, target: torch.Tensor, label_set: LabelSetHead, losses: tuple[Loss, ...]
) -> torch.Tensor:
    """The loss of one label set, a scalar: the weighted sum of its terms.

    Args:
        logits: float [B, C].
        target: float [B, C], the share of each class, 0 to 1.
        label_set: The label set.
        losses: The setting ``model.loss``.
    """
    terms = terms_of(losses, label_set.name, multiple=label_set.multiple)
    return torch.stack([loss.weight * _term(logits.float(), target, label_set, loss) for loss in terms]).sum()


def _term(logits: torch.Tensor, target: torch.Tensor, label_set: LabelSetHead, loss: Loss) -> torch.Tensor:
    if loss.name == "f1":
        return soft_f1_loss(logits, target, multiple=label_set.multiple)
    weights = logits.new_ones(logits.shape[1])
    if loss.class_weights == "balanced" and label_set.class_weights:
        weights = logits.new_tensor(label_set.class_weights)
    gamma = loss.gamma if loss.name == "focal" else 0.0
    if label_set.multiple:
        return (binary_terms(logits, target, gamma) * weights).sum(dim=1).mean() / logits.shape[1]
    smoothing = loss.label_smoothing
    target = (1 - smoothing) * target + smoothing / logits.shape[1] * target.sum(dim=1, keepdim=True)
    return (softmax_terms(logits, target, gamma) * weights).sum(dim=1).mean()


def softmax_terms(logits: torch.Tensor, target: torch.Tensor, gamma: float) -> torch.Tensor:
    """Cross-entropy by image and class, [B, C]; with ``gamma`` above 0 the focal loss (Lin et al., 2017, eq. 4)."""
    log = logits.log_softmax(dim=1)
    return -target * log * ((1 - log.exp()).clamp(min=0) ** gamma if gamma else 1.0)


def binary_terms(logits: torch.Tensor, target: torch.Tensor, gamma: float) -> torch.Tensor:
    """Binary cross-entropy by image and class, [B, C]; with ``gamma`` above 0 the focal loss of both outcomes."""
    applies, does_not = functional.logsigmoid(logits), functional.logsigmoid(-logits)
    if gamma:
        return -target * applies * does_not.exp() ** gamma - (1 - target) * does_not * applies.exp() ** gamma
    return -target * applies - (1 - target) * does_not


def soft_f1_loss(logits: torch.Tensor, target: torch.Tensor, *, multiple: bool) -> torch.Tensor:
    """1 - macro F1, with probabilities in place of decisions; only of classes that the batch has.

    Args:
        logits: float [B, C].
        target: float [B, C], 0 to 1.
        multiple: Whether any number of the classes applies, or exactly one.
    """
    found = logits.sigmoid() if multiple else logits.softmax(dim=1)
    images = target.sum(dim=0)
    f1 = 2 * (found * target).sum(dim=0) / (found.sum(dim=0) + images).clamp(min=_SMALLEST)
    present = (images > 0).to(f1)
    return 1 - (f1 * present).sum() / present.sum().clamp(min=1)


def initial_loss(label_set: LabelSetHead, losses: tuple[Loss, ...]) -> float | None:
    """The loss of a network that finds all classes equally probable; None if theory gives none, as for F1."""
    terms = terms_of(losses, label_set.name, multiple=label_set.multiple)
    if any(loss.name == "f1" for loss in terms):
        return None
    chance: float = 0.5 if label_set.multiple else 1 / len(label_set.classes)
    gammas = [loss.gamma if loss.name == "focal" else 0.0 for loss in terms]
    return sum(
        -loss.weight * math.log(chance) * math.pow(1 - chance, gamma) for loss, gamma in zip(terms, gammas, strict=True)
    )
