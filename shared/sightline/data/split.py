"""Train, val and test: images that belong together stay together, and no image moves from version to version.

Images are first tied into groups (:mod:`sightline.data.fingerprint`).  A group with an image of an earlier version
stays in that image's split; a new image that would tie together images of two splits is left out.  New groups fill the
splits up to their fractions (:mod:`sightline.data.filling`).  Neither the names nor the order of the files matter: the
same images always give the same splits.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sightline.config.schema import Splits
from sightline.data.filling import SPLITS, Group, SplitName, fill_splits
from sightline.data.fingerprint import tie_images
from sightline.errors import DataError

_KEEP_FIRST: tuple[SplitName, ...] = ("test", "val", "train")
"""Where images of earlier versions contradict each other, those that measure models stay."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SplitImage:
    """What the split needs to know of an image.

    Attributes:
        sha256: Of its bytes.
        perceptual_hash: 64 bits.
        group: Images with one group stay together.
        classes: The classes that it shows.
    """

    sha256: str
    perceptual_hash: int
    group: str
    classes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class EarlierImage:
    """An image of an earlier version, which has a split already.

    Attributes:
        image: The image.
        split: Where it is.
    """

    image: SplitImage
    split: SplitName


@dataclass(frozen=True, slots=True)
class Assignment:
    """Where every image goes.

    Attributes:
        splits: One entry an image, in the order given; None for an image that is left out because it would tie together
            images of two splits.
        groups: One entry an image: the smallest sha256 among those that are tied to it.
    """

    splits: list[SplitName | None]
    groups: list[str]


def assign_splits(
    images: Sequence[SplitImage], earlier: Sequence[EarlierImage], fractions: Splits, near_duplicate_distance: int
) -> Assignment:
    """Give every image a split.

    Args:
        images: All images of this version.
        earlier: The images of earlier versions of the dataset, each sha256 once.
        fractions: Of the images, by split.
        near_duplicate_distance: Images whose hashes differ in at most so many bits are tied.

    Raises:
        DataError: There are fewer groups than splits that want images.
    """
    fixed = {entry.image.sha256: entry.split for entry in earlier}
    present = {image.sha256 for image in images}
    # Earlier images that this version lacks still hold their groups where they were.
    everything = [*images, *(entry.image for entry in earlier if entry.image.sha256 not in present)]
    left_out, sets = _tie(everything, fixed, near_duplicate_distance)
    groups = [group for group in (_group(members, everything, fixed, len(images)) for members in sets) if group.members]
    fill_splits(groups, fractions)
    splits: list[SplitName | None] = [None] * len(images)
    names = [image.sha256 for image in images]
    for group in groups:
        for index in group.members:
            splits[index], names[index] = group.split, group.name
    if left_out:
        count = sum(index < len(images) for index in left_out)
        _log.warning("%d images are left out: each would tie together images of two splits", count)
    return Assignment(splits, names)


def check_leaks(images: Sequence[SplitImage], splits: Sequence[SplitName], near_duplicate_distance: int) -> None:
    """Prove that no group, no near-duplicates and no equal files are in two splits.

    Raises:
        DataError: They are; the message names two images.
    """
    for members in _tied(images, near_duplicate_distance):
        sides = {splits[index]: images[index].sha256 for index in members}
        if len(sides) > 1:
            named = " and ".join(f"{sha256} ({split})" for split, sha256 in sorted(sides.items()))
            raise DataError(
                f"images that belong together are in different splits: {named}; this is a fault of Sightline: report it"
            )


def _tied(images: Sequence[SplitImage], distance: int) -> list[list[int]]:
    hashes = np.array([image.perceptual_hash for image in images], dtype=np.uint64)
    return tie_images(hashes, [(image.sha256, image.group) for image in images], distance).sets()


def _tie(
    images: Sequence[SplitImage], fixed: Mapping[str, SplitName], distance: int
) -> tuple[list[int], list[list[int]]]:
    """The images that are left out, and the sets of all others; no set has members in two splits."""
    left_out: list[int] = []
    sets: list[list[int]] = []
    for members in _tied(images, distance):
        if len({fixed[images[index].sha256] for index in members if images[index].sha256 in fixed}) < 2:
            sets.append(members)
        else:
            kept = _keep_apart(members, images, fixed, distance)
            left_out += sorted(set(members) - {index for part in kept for index in part})
            sets += kept
    return left_out, sets


def _keep_apart(
    members: Sequence[int], images: Sequence[SplitImage], fixed: Mapping[str, SplitName], distance: int
) -> list[list[int]]:
    """Build up a set again, image by image, without those that would tie two splits together."""

    def order(index: int) -> tuple[int, str, int]:
        split = fixed.get(images[index].sha256)
        return (len(SPLITS) if split is None else _KEEP_FIRST.index(split), images[index].sha256, index)

    ordered = [images[index] for index in sorted(members, key=order)]
    hashes = np.array([image.perceptual_hash for image in ordered], dtype=np.uint64)
    files = np.unique([image.sha256 for image in ordered], return_inverse=True)[1]
    groups = np.unique([image.group for image in ordered], return_inverse=True)[1]
    part_of = np.full(len(ordered), -1, dtype=np.int64)
    sides: dict[int, set[SplitName]] = {}
    for row, image in enumerate(ordered):
        tied = (np.bitwise_count(hashes ^ hashes[row]) <= distance) | (files == files[row]) | (groups == groups[row])
        parts = np.unique(part_of[tied & (part_of >= 0)])
        own = {fixed[image.sha256]} if image.sha256 in fixed else set()
        around = own.union(*(sides[int(part)] for part in parts))
        if len(around) < 2:
            part_of[np.isin(part_of, parts)] = row
            part_of[row] = row
            sides[row] = around
    original = np.array(sorted(members, key=order))
    return [sorted(original[part_of == part].tolist()) for part in np.unique(part_of[part_of >= 0])]


def _group(indices: Sequence[int], images: Sequence[SplitImage], fixed: Mapping[str, SplitName], present: int) -> Group:
    """The group of a set of images; its members are those below ``present``, which this version has."""
    members = [index for index in indices if index < present]
    splits = {fixed[images[index].sha256] for index in indices if images[index].sha256 in fixed}
    classes = Counter(name for index in members for name in images[index].classes)
    return Group(min(images[index].sha256 for index in indices), members, classes, next(iter(splits), None))
