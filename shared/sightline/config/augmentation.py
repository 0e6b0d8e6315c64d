"""Settings of the random changes of training images: a list in the recipe, applied in its order."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, SerializeAsAny, model_validator

from sightline.config.section import Fraction, KnownName, PositiveFloat, Section

Degrees = Annotated[float, Field(ge=0.0, le=180.0)]
Quality = Annotated[int, Field(ge=1, le=100)]
Amount = Annotated[float, Field(ge=0.0)]

MAGNITUDES = 30
"""The largest magnitude of the operations of RandAugment and TrivialAugment."""

_OWN = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_EXAMPLE = "{name: flip, probability: 0.5}"


class Change(Section):
    """One random change of an image and its objects."""

    name: str = Field(description="Name of the change")
    probability: Fraction = Field(1.0, description="Probability that an image is changed")


class _Range(Change):
    @model_validator(mode="after")
    def _rises(self) -> _Range:
        low, high = getattr(self, "low", 0), getattr(self, "high", 0)
        if low > high:
            raise ValueError(f"low to be at most high, but low is {low:g} and high is {high:g}")
        return self


class Flip(Change):
    """Mirrors the image from left to right."""

    name: Literal["flip"] = "flip"
    probability: Fraction = Field(0.5, description="Probability of a mirrored image; leave flip out if text is read")
    swap: dict[str, str] = Field(
        {}, description="Classes that become each other in a mirrored image, such as {left_hand: right_hand}"
    )
    keypoint_pairs: tuple[tuple[int, int], ...] = Field(
        (), description="Keypoints that become each other, by index from 0; empty: data.keypoints.flip_pairs"
    )


class ScaleJitter(_Range):
    """Resizes the content of an image; a smaller one is placed at random, of a larger one a random part is used."""

    name: Literal["scale_jitter"] = "scale_jitter"
    low: PositiveFloat = Field(0.8, description="Smallest factor")
    high: PositiveFloat = Field(1.25, description="Largest factor")


class LargeScaleJitter(_Range):
    """The same with a wide range (Ghiasi et al., 2021), for long trainings, best with copy_paste."""

    name: Literal["large_scale_jitter"] = "large_scale_jitter"
    low: PositiveFloat = Field(0.1, description="Smallest factor")
    high: PositiveFloat = Field(2.0, description="Largest factor")


class Crop(Change):
    """Enlarges a random part of the image that contains all objects completely."""

    name: Literal["crop"] = "crop"
    smallest: Annotated[float, Field(gt=0.0, le=1.0)] = Field(
        0.5, description="Shortest sides of the part, relative to the image"
    )


class RandomResizedCrop(_Range):
    """Uses a random part of the image, resized to its size (Szegedy et al., 2014); objects outside of it are lost."""

    name: Literal["random_resized_crop"] = "random_resized_crop"
    low: Annotated[float, Field(gt=0.0, le=1.0)] = Field(0.08, description="Smallest area, relative to the image")
    high: Annotated[float, Field(gt=0.0, le=1.0)] = Field(1.0, description="Largest area, relative to the image")
    ratio: Annotated[float, Field(ge=1.0, le=10.0)] = Field(
        4 / 3,
        description="Largest distortion: factor between the aspect ratios of the part and the image, or its inverse",
    )


class Rotate(Change):
    """Rotates the image around its center; the corners beyond its borders are lost."""

    name: Literal["rotate"] = "rotate"
    degrees: Degrees = Field(10.0, description="Largest angle in both directions")


class Perspective(Change):
    """Moves the corners of the image, as if it were seen from the side."""

    name: Literal["perspective"] = "perspective"
    strength: Annotated[float, Field(ge=0.0, le=0.4)] = Field(
        0.1, description="Largest inward shift of a corner, relative to the sides of the image"
    )


class Photometric(Change):
    """Changes the colors."""

    name: Literal["photometric"] = "photometric"
    brightness: Fraction = Field(0.2, description="Largest relative change of brightness; 0.2: a factor of 0.8 to 1.2")
    contrast: Fraction = Field(0.2, description="Largest relative change of contrast; 0.2: a factor of 0.8 to 1.2")
    saturation: Fraction = Field(0.0, description="Largest relative change of saturation")
    hue: Annotated[float, Field(ge=0.0, le=0.5)] = Field(
        0.0, description="Largest shift of the hue at equal luminance, as a fraction of the color circle"
    )


class Blur(Change):
    """Gaussian blur."""

    name: Literal["blur"] = "blur"
    radius: Amount = Field(2.0, description="Largest standard deviation in pixels")


class Noise(Change):
    """Gaussian noise, independent for each pixel and channel."""

    name: Literal["noise"] = "noise"
    deviation: Annotated[float, Field(ge=0.0, le=255.0)] = Field(
        10.0, description="Largest standard deviation in gray levels of 255"
    )


class Jpeg(_Range):
    """Artifacts of JPEG compression."""

    name: Literal["jpeg"] = "jpeg"
    low: Quality = Field(30, description="Lowest quality")
    high: Quality = Field(90, description="Highest quality")


class Mosaic(Change):
    """Joins the image with three others of the training set at a random point (Bochkovskiy et al., 2020)."""

    name: Literal["mosaic"] = "mosaic"
    probability: Fraction = Field(0.5, description="Probability that an image becomes a mosaic")


class CopyPaste(Change):
    """Pastes objects of another image (Ghiasi et al., 2021); objects that they cover become smaller or disappear."""

    name: Literal["copy_paste"] = "copy_paste"
    probability: Fraction = Field(0.5, description="Probability that objects are pasted")
    objects: Annotated[int, Field(ge=1, le=100)] = Field(5, description="Largest number of objects to paste")


class Erase(_Range):
    """Fills a random rectangle; objects that it hides are left out."""

    name: Literal["erase"] = "erase"
    low: Fraction = Field(0.02, description="Smallest area, relative to the image")
    high: Fraction = Field(0.15, description="Largest area, relative to the image")


class TrivialAugment(Change):
    """One random operation (shear, shift, rotation or colors) with a random magnitude (arXiv 2103.10158)."""

    name: Literal["trivial_augment"] = "trivial_augment"


class RandAugment(Change):
    """Several random operations (shear, shift, rotation or colors) with a given magnitude (arXiv 1909.13719)."""

    name: Literal["rand_augment"] = "rand_augment"
    operations: Annotated[int, Field(ge=1, le=10)] = Field(2, description="Number of operations, one after the other")
    magnitude: Annotated[int, Field(ge=0, le=MAGNITUDES)] = Field(
        9, description=f"Magnitude of every operation; {MAGNITUDES} is the largest"
    )


class MixUp(Change):
    """Blends the image and its labels with those of another image (arXiv 1710.09412)."""

    name: Literal["mixup"] = "mixup"
    probability: Fraction = Field(0.5, description="Probability that an image is blended")
    alpha: PositiveFloat = Field(
        0.2, description="Both parameters of the beta distribution of the share; the larger, the closer to a half"
    )


class CutMix(Change):
    """Replaces a random rectangle, and its share of the labels, by that of another image (arXiv 1905.04899)."""

    name: Literal["cutmix"] = "cutmix"
    probability: Fraction = Field(0.5, description="Probability that a rectangle is replaced")
    alpha: PositiveFloat = Field(1.0, description="Both parameters of the beta distribution of the rectangle's share")


class Own(Change):
    """A class of your own, `module:Class`; all other keys are its arguments."""

    model_config = ConfigDict(extra="allow")

    @property
    def arguments(self) -> dict[str, Any]:
        """The keyword arguments of the class."""
        return dict(self.model_extra or {})


KINDS: dict[str, type[Change]] = {
    str(kind.model_fields["name"].default): kind
    for kind in (
        Flip, ScaleJitter, LargeScaleJitter, Crop, RandomResizedCrop, Rotate, Perspective, Photometric, Blur, Noise,
        Jpeg, Mosaic, CopyPaste, Erase, TrivialAugment, RandAugment, MixUp, CutMix,
    )
}  # fmt: skip
"""The built-in changes by name."""


def _entry(given: object) -> object:
    """An entry of the list as its kind of :class:`Change`."""
    if isinstance(given, Change):
        return given
    if not isinstance(given, Mapping) or not isinstance(given.get("name"), str):
        raise ValueError(f"a mapping with a name, such as {_EXAMPLE}")
    name = given["name"]
    if _OWN.fullmatch(name):
        return Own.model_validate(given)
    kind = KINDS[KnownName("augmentation", lambda: [*KINDS, "module:Class"]).require(name)]
    known = [field for field in kind.model_fields if field != "name"]
    for key in given.keys() - {"name"}:
        KnownName(f"key of the augmentation {name}", lambda: known).require(key)
    return kind.model_validate(given)


def upgraded(given: object) -> object:
    """The mapping of earlier releases, ``{flip: .., brightness: .., contrast: .., scale: ..}``, as a list."""
    if not isinstance(given, Mapping):
        return given
    if "name" in given:
        raise ValueError(f"a list of augmentations, such as [{_EXAMPLE}]")
    strengths = {**_FIRST, **given}
    for key, value in strengths.items():
        KnownName("augmentation", lambda: list(_FIRST)).require(key)
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
            raise ValueError(f"a list such as [{_EXAMPLE}], or numbers from 0 to 1, but {key} is {value!r}")
    entries: list[dict[str, Any]] = []
    if strengths["brightness"] or strengths["contrast"]:
        entries.append({"name": "photometric"} | {key: strengths[key] for key in ("brightness", "contrast")})
    if strengths["scale"]:
        entries.append({"name": "scale_jitter", "low": max(1 - strengths["scale"], 0.01), "high": 1.0})
    if strengths["flip"]:
        entries.append({"name": "flip", "probability": strengths["flip"]})
    return entries


_FIRST = {"flip": 0.5, "brightness": 0.2, "contrast": 0.2, "scale": 0.0}
"""The keys of the mapping of earlier releases, and their defaults."""


def as_first_release(entries: Iterable[Mapping[str, Any]]) -> dict[str, float] | None:
    """The mapping of earlier releases that means the same as a list of JSON values; None if there is none.

    The digest of a configuration uses the mapping, so that finished work of earlier releases keeps its digest.
    """
    named = {str(entry["name"]): entry for entry in entries}
    color, scale, flip = (named.get(name, {}) for name in ("photometric", "scale_jitter", "flip"))
    mapping = {
        "flip": flip.get("probability", 0.0),
        "brightness": color.get("brightness", 0.0),
        "contrast": color.get("contrast", 0.0),
        "scale": round(1 - scale.get("low", 1.0), 12),
    }
    return mapping if complete(mapping) == list(entries) else None


def complete(given: object) -> object:
    """The section as a complete list of JSON values; unchanged if it is not valid."""
    try:
        entries = upgraded(given)
        if not isinstance(entries, list | tuple):
            return given
        valid = [_entry(entry) for entry in entries]
    except ValueError:
        return given
    return [entry.model_dump(mode="json") for entry in valid if isinstance(entry, Change)]


def require_classes(augmentation: Iterable[Change], classes: Iterable[str]) -> None:
    """Check that all classes that are named exist.

    Raises:
        ValueError: A class of ``flip.swap`` does not exist.
    """
    known = tuple(classes)
    for change in augmentation:
        for name in (part for pair in getattr(change, "swap", {}).items() for part in pair):
            KnownName("class in train.augmentation (flip.swap)", lambda: known).require(name)


def require_image_labels(augmentation: Iterable[Change], *, classified: bool) -> None:
    """Check that changes that mix the labels of images have such labels.

    Args:
        augmentation: The changes.
        classified: Whether the images of the dataset have labels.

    Raises:
        ValueError: They do not.
    """
    names = [change.name for change in augmentation if isinstance(change, MixUp | CutMix)]
    if names and not classified:
        raise ValueError(
            f"no {' or '.join(names)} in train.augmentation, because the images have no labels of their own that could "
            "be mixed; use mosaic or copy_paste for objects"
        )


Augmentation = Annotated[
    tuple[Annotated[SerializeAsAny[Change], BeforeValidator(_entry)], ...], BeforeValidator(upgraded)
]
"""The changes in their order."""

DEFAULT_AUGMENTATION: tuple[Change, ...] = (Photometric(), Flip())
