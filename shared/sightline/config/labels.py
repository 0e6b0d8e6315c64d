"""The kinds of labels besides classes: keypoints of objects, and label sets of images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated

from pydantic import BeforeValidator, Field, field_validator, model_validator

from sightline.config.section import PositiveFloat, Section

DEFAULT_SIGMA = 0.05
"""The sigma of every keypoint if none are configured; those of COCO are 0.025 (eyes) to 0.107 (hips)."""

SINGLE_SET = "class"
"""The name of the label set of images that have only ``data.classes``."""


class Keypoints(Section):
    """The keypoints of the objects; every class has the same ones."""

    names: tuple[str, ...] = Field((), max_length=1000, description="Names of the keypoints, in their order")
    skeleton: tuple[tuple[str, str], ...] = Field((), description="Pairs of keypoints to connect in drawings")
    flip_pairs: tuple[tuple[str, str], ...] = Field(
        (), description="Pairs of keypoints that become each other in a mirrored image, such as [left_eye, right_eye]"
    )
    sigmas: tuple[PositiveFloat, ...] = Field(
        (),
        description="How exact the annotations of each keypoint are, for OKS, as in COCO (0.025 for eyes, 0.107 for "
        f"hips); empty: {DEFAULT_SIGMA} for each",
    )
    supercategory: str = Field("", description="The supercategory of the classes, such as animal")

    @field_validator("names")
    @classmethod
    def _distinct(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return distinct(names, "keypoint")

    @model_validator(mode="after")
    def _refer_to_names(self) -> Keypoints:
        for field, pairs in (("skeleton", self.skeleton), ("flip_pairs", self.flip_pairs)):
            for name in (name for pair in pairs for name in pair):
                if name not in self.names:
                    raise ValueError(
                        f"{field} of keypoints in names ({', '.join(self.names) or 'none'}), but {name!r} is not"
                    )
            if any(one == other for one, other in pairs):
                raise ValueError(f"{field} of two different keypoints each, but one pair has the same keypoint twice")
        paired = [name for pair in self.flip_pairs for name in pair]
        if twice := sorted({name for name in paired if paired.count(name) > 1}):
            raise ValueError(f"every keypoint in at most one of flip_pairs, but {', '.join(twice)} is in several")
        if self.sigmas and len(self.sigmas) != len(self.names):
            raise ValueError(f"one of sigmas for each of the {len(self.names)} names, but there are {len(self.sigmas)}")
        return self

    @property
    def complete_sigmas(self) -> tuple[float, ...]:
        """The sigma of each keypoint."""
        return self.sigmas or (DEFAULT_SIGMA,) * len(self.names)


def _short_form(given: object) -> object:
    """A list of classes as a label set."""
    return {"classes": given} if isinstance(given, list | tuple) else given


class LabelSet(Section):
    """One set of labels of images, such as whether a face has a mask."""

    classes: tuple[str, ...] = Field(min_length=1, max_length=10_000, description="Class names")
    multiple: bool = Field(False, description="Whether an image may have any number of the classes, or exactly one")
    column: str = Field("", description="Column of the CSV file; empty: the name of the label set")

    @field_validator("classes")
    @classmethod
    def _distinct(cls, classes: tuple[str, ...]) -> tuple[str, ...]:
        return distinct(classes, "class")


LabelSets = dict[str, Annotated[LabelSet, BeforeValidator(_short_form)]]


def distinct(names: tuple[str, ...], noun: str) -> tuple[str, ...]:
    """Check that names are unique and have no spaces around them.

    Raises:
        ValueError: They do not.
    """
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"every {noun} once, but {', '.join(twice)} is listed twice")
    if any(not name.strip() or name != name.strip() for name in names):
        raise ValueError(f"{noun} names without leading or trailing spaces")
    return names


def class_names(label_sets: Mapping[str, LabelSet]) -> tuple[str, ...]:
    """The classes of label sets as one list.

    Returns:
        The class names of a single set; of several, ``set/class``, set by set.
    """
    return tuple(class_name(name, one, label_sets) for name, labels in label_sets.items() for one in labels.classes)


def class_name(label_set: str, name: str, label_sets: Iterable[str]) -> str:
    """The name of a class of a label set in ``data.classes``.

    Example:
        >>> class_name("mask", "correct", ["mask", "age"]), class_name("class", "crack", ["class"])
        ('mask/correct', 'crack')
    """
    return name if len(tuple(label_sets)) == 1 else f"{label_set}/{name}"
