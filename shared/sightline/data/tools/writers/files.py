"""What a writer makes of a dataset."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from sightline.data.annotations import Instance, LabelledImage
from sightline.data.formats.image_index import composed

SPLIT_FOLDERS = {"train", "val", "test", "valid", "images"}


@dataclass
class WrittenDataset:
    """The files of a dataset in another format.

    Attributes:
        texts: Path -> contents of each annotation file.
        images: Path of each image file -> the image.
        losses: What the format cannot hold -> number of objects or images that it concerns.
    """

    texts: dict[str, str] = field(default_factory=dict)
    images: dict[str, LabelledImage] = field(default_factory=dict)
    losses: Counter[str] = field(default_factory=Counter)


def name_of(image: LabelledImage) -> str:
    """The path of an image without leading folders such as ``images`` or ``train``."""
    parts = image.image.split("/")
    while len(parts) > 1 and parts[0].lower() in SPLIT_FOLDERS:
        parts = parts[1:]
    return "/".join(parts)


def names_of(images: Sequence[LabelledImage], *, distinct_stems: bool = False) -> list[str]:
    """A distinct path for every image, below its split if it has one.

    Args:
        images: The images.
        distinct_stems: Whether paths also differ without their extension, because every image gets a file of its own.
    """
    taken: set[str] = set()
    names = []
    for image in images:
        keys = ((_key(name, distinct_stems), name) for name in _candidates(image))
        key, name = next((key, name) for key, name in keys if key not in taken)
        taken.add(key)
        names.append(name)
    return names


def distinct(name: str, taken: set[str]) -> str:
    """The path, with a number if it is taken already; it is taken then."""
    numbered = next(one for one in _numbered(name) if _key(one, False) not in taken)
    taken.add(_key(numbered, False))
    return numbered


def box_polygon(instance: Instance) -> bool:
    """Whether the outline of an object is its box."""
    segmentation = instance.segmentation
    if not isinstance(segmentation, list) or len(segmentation) != 1 or len(segmentation[0]) != 8:
        return False
    x, y, width, height = instance.bbox
    right, bottom = x + width, y + height
    x1, y1, x2, y2, x3, y3, x4, y4 = segmentation[0]
    if x1 == x4 == x and y1 == y2 == y and x2 == x3 and y3 == y4:  # as the readers make them, up to rounding
        return _near(right, x2) and _near(bottom, y3)
    corners = (x, y, right, y, right, bottom, x, bottom)
    return all(map(_near, corners, segmentation[0]))


def _near(value: float, other: float) -> bool:
    return abs(other - value) <= 1e-6 * max(1.0, abs(value))


def own_group(image: LabelledImage) -> bool:
    """Whether the annotations give the image a group."""
    return image.group != image.sha256


def _candidates(image: LabelledImage) -> Iterator[str]:
    prefix = f"{image.split}/" if image.split else ""
    return _numbered(prefix + name_of(image))


def _numbered(name: str) -> Iterator[str]:
    yield name
    stem, dot, suffix = name.rpartition(".")
    yield from (f"{stem}-{number}{dot}{suffix}" for number in itertools.count(2))


def _key(name: str, without_suffix: bool) -> str:
    """Equal for paths that are one file on macOS and Windows."""
    return composed(name.rpartition(".")[0] if without_suffix else name).casefold()
