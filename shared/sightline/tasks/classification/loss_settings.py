"""Settings of the losses of classification: entries of ``model.loss``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from sightline.config.section import PositiveFloat, Section


class LabelSetHead(Section):
    """What a network knows of one label set; copied from the training set."""

    name: str = Field(min_length=1, description="Name of the label set")
    classes: tuple[str, ...] = Field(min_length=1, description="Its classes, in the order of the network's outputs")
    multiple: bool = Field(False, description="Whether any number of the classes applies, or exactly one")
    class_weights: tuple[PositiveFloat, ...] = Field(
        (), description="Weight of each class for class_weights: balanced; empty: equal"
    )


class Loss(Section):
    """One term of the loss; terms of one label set are summed."""

    name: Literal["cross_entropy", "focal", "f1", "binary_cross_entropy"] = Field(
        "cross_entropy",
        description="cross_entropy: label sets with one class per image; binary_cross_entropy: label sets with any "
        "number of classes; focal (Lin et al., 2017) and f1 (1 - macro F1 of the probabilities of a batch): both",
    )
    label_sets: tuple[str, ...] = Field((), description="The label sets it is used for; empty: all")
    weight: PositiveFloat = Field(1.0, description="Factor on the term")
    label_smoothing: Annotated[float, Field(ge=0.0, lt=1.0)] = Field(
        0.0, description="Share of the target that cross_entropy spreads over all classes"
    )
    gamma: Annotated[float, Field(ge=0.0, le=10.0)] = Field(2.0, description="Exponent of focal; 0: cross-entropy")
    class_weights: Literal["none", "balanced"] = Field(
        "none", description="balanced: all classes count alike, whatever their number of images; not for f1"
    )

    def fits(self, *, multiple: bool) -> bool:
        """Whether it can be used for label sets with any number of classes, or with exactly one."""
        return self.name not in {"binary_cross_entropy", "cross_entropy"} or multiple == self._is_binary

    @property
    def _is_binary(self) -> bool:
        return self.name == "binary_cross_entropy"


def _as_list(given: object) -> object:
    """A single term, or only its name, as a list."""
    entries = given if isinstance(given, list | tuple) else [given]
    return [{"name": entry} if isinstance(entry, str) else entry for entry in entries]


Losses = Annotated[tuple[Loss, ...], BeforeValidator(_as_list)]


def terms_of(losses: Sequence[Loss], label_set: str, *, multiple: bool) -> list[Loss]:
    """The terms of the loss of one label set; without any settings, the usual one."""
    if not losses:
        return [Loss(name="binary_cross_entropy" if multiple else "cross_entropy")]
    return [loss for loss in losses if not loss.label_sets or label_set in loss.label_sets]


def loss_faults(losses: Sequence[Loss], label_sets: Mapping[str, bool]) -> Iterator[str]:
    """What is wrong with the losses of a dataset.

    Args:
        losses: The setting ``model.loss``.
        label_sets: Name of each label set -> whether any number of its classes applies to an image.
    """
    for place, loss in enumerate(losses):
        for name in loss.label_sets:
            if name not in label_sets:
                yield f"model.loss.{place}.label_sets: unknown label set {name!r}. Available: {', '.join(label_sets)}"
        if loss.label_smoothing and loss.name != "cross_entropy":
            yield f"model.loss.{place}.label_smoothing: only for cross_entropy; set it to 0 for {loss.name}"
        if loss.class_weights != "none" and loss.name == "f1":
            yield f"model.loss.{place}.class_weights: f1 weighs all classes alike already; set it to none"
    for name, multiple in label_sets.items():
        terms = terms_of(losses, name, multiple=multiple)
        if not terms:
            yield f"model.loss: no loss for the label set {name}; add a term, or name it in label_sets of one"
        for loss in terms:
            if not loss.fits(multiple=multiple):
                kind = "any number of classes" if multiple else "exactly one class"
                other = "binary_cross_entropy" if multiple else "cross_entropy"
                yield (
                    f"model.loss: {loss.name} does not fit the label set {name}, of which {kind} applies to an image; "
                    f"use {other}, focal or f1, or list other label sets in label_sets of the term"
                )
