"""The network of classification: a body, and one linear head for each label set."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from sightline.config.network import Network
from sightline.models.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from sightline.models.weights.timm_models import body_tensors
from sightline.tasks.classification.loss_settings import LabelSetHead
from sightline.tasks.classification.networks.poster import build_poster
from sightline.tasks.classification.networks.small import build_cnn, build_tiny_vgg
from sightline.tasks.classification.networks.timm_body import build_body, creator
from sightline.tasks.classification.settings import Classifier, Cnn, Poster, TimmClassifier, TinyVgg

HEAD = "head"
"""The rows of this layer are the heads of all label sets, one after another."""

_BODY = "backbone.body."


class ClassifierNetwork(nn.Module):
    """Classifies images by one or several label sets.

    The heads are the rows of a single layer, so that rows of classes with the same name can be taken from a model of
    other label sets.

    Args:
        model: The settings.
        num_classes: Number of classes of all label sets together.

    Attributes:
        settings: The settings.
        label_sets: The label sets; if the settings have none, one with all classes.
        body_prefix: The beginning of the names of the body's tensors.
    """

    body_prefix = _BODY

    def __init__(self, model: Classifier, num_classes: int) -> None:
        super().__init__()
        names = tuple(str(number) for number in range(1, num_classes + 1))
        self.settings = model
        self.label_sets = model.label_sets or (LabelSetHead(name="class", classes=names),)
        counts = [len(one.classes) for one in self.label_sets]
        if sum(counts) != num_classes:
            raise ValueError(f"model.label_sets have {sum(counts)} classes, expected {num_classes}")
        body, features = _body(model)
        self.backbone = nn.ModuleDict({"body": body})
        self.dropout = nn.Dropout(model.dropout)
        self.head = nn.Linear(features, num_classes)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(3, 1, 1) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(3, 1, 1) * 255, persistent=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Compute logits float [B, C], the label sets one after another, for normalized images [B, 3, S, S]."""
        logits: torch.Tensor = self.head(self.dropout(self.backbone["body"](images)))
        return logits

    def batch(self, images: list[torch.Tensor]) -> torch.Tensor:
        """Normalized images as a batch, float32 [B, 3, S, S], zero to the right of and below each image.

        Args:
            images: uint8 [3, height, width], with a longer side of S, the setting ``image_size``.
        """
        side = self.settings.image_size
        batch = images[0].new_zeros((len(images), 3, side, side), dtype=torch.float32)
        for row, image in zip(batch, images, strict=True):
            row[:, : image.shape[1], : image.shape[2]].copy_(image).sub_(self.mean).div_(self.std)
        return batch

    def probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        """Probabilities float32 [B, C] from logits: they sum to 1 in label sets with one class per image."""
        counts = [len(one.classes) for one in self.label_sets]
        parts = torch.split(logits.float(), counts, dim=1)
        return torch.cat(
            [
                part.sigmoid() if one.multiple else part.softmax(dim=1)
                for one, part in zip(self.label_sets, parts, strict=True)
            ],
            dim=1,
        )

    def in_own_names(self, tensors: Mapping[str, torch.Tensor]) -> Mapping[str, torch.Tensor]:
        """Tensors of a model of timm or torchvision with the names of this network; those of Sightline keep theirs.

        Raises:
            ModelFileError: timm cannot load the tensors into this body.
        """
        if any(name.startswith(_BODY) for name in tensors):
            return tensors
        own = self.backbone["body"].state_dict()
        if isinstance(self.settings, TimmClassifier) and not own.keys() <= tensors.keys():
            tensors = body_tensors(creator(self.settings), tensors)
        return {f"{_BODY}{name}": tensor for name, tensor in tensors.items()}


def _body(model: Classifier) -> tuple[nn.Module, int]:
    if isinstance(model, TimmClassifier):
        return build_body(model)
    if isinstance(model, Cnn):
        return build_cnn(model)
    if isinstance(model, TinyVgg):
        return build_tiny_vgg(model)
    assert isinstance(model, Poster)  # noqa: S101
    return build_poster(model)


def build_classifier(model: Network, num_classes: int) -> ClassifierNetwork:
    """Build the network given by ``model.network``, with random weights.

    Args:
        model: The section ``model`` of the configuration.
        num_classes: Number of classes of all label sets together.

    Raises:
        ConfigurationError: There is no such backbone, or it cannot compute images of this size.
        ValueError: The label sets have another number of classes.
    """
    assert isinstance(model, Classifier)  # noqa: S101
    return ClassifierNetwork(model, num_classes)
