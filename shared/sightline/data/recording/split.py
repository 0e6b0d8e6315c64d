"""Splits into train, val and test: related images stay together, and no image changes its split between versions.

Related images are first connected to groups (:mod:`sightline.data.recording.fingerprint`).  A group with an image of
an earlier version stays in that image's split; a new image that would connect images of two splits is left out.  New
groups fill the splits up to their fractions (:mod:`sightline.data.recording.filling`).  Names and order of the files do
not matter: the same images always get the same splits.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sightline.config.data import Data, Splits
from sightline.data.annotations import SplitName
from sightline.data.recording.filling import SPLITS, Group, fill_splits
from sightline.data.recording.fingerprint import tie_images
from sightline.errors import DataError
from sightline.plural import counted

_KEEP_FIRST: tuple[SplitName, ...] = ("test", "val", "train")
"""Priority of splits if images of earlier versions contradict each other: those for measuring models first."""

_EXAMPLES = 3

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SplitImage:
    """The facts about an image that determine its split.

    Attributes:
        sha256: SHA-256 of the image file.
        perceptual_hash: 64 bits.
        group: Images with the same group stay together.
        classes: The classes of its objects.
        name: Name in messages.
    """

    sha256: str
    perceptual_hash: int
    group: str
    classes: frozenset[str] = frozenset()
    name: str = ""


@dataclass(frozen=True, slots=True)
class EarlierImage:
    """An image of an earlier version, with its split.

    Attributes:
        image: The image.
        split: Its split.
        fold: Its fold, from 1; 0 if it has none.
        folds: The number of folds of its version.
    """

    image: SplitImage
    split: SplitName
    fold: int = 0
    folds: int = 0


@dataclass(frozen=True, slots=True)
class Assignment:
    """The split of every image.

    Attributes:
        splits: The split of each image, in the given order; None for an image that is left out because it would connect
            images of two splits.
        groups: For each image, the smallest sha256 in its group.
        alike: A warning if most images of the dataset are one group of similar images; else empty.
    """

    splits: list[SplitName | None]
    groups: list[str]
    alike: str = ""


def tying_distance(data: Data) -> int | None:
    """The maximum number of differing hash bits of connected images; None if near-duplicates are not connected."""
    return data.near_duplicate_distance if data.near_duplicates else None


def assign_splits(
    images: Sequence[SplitImage],
    earlier: Sequence[EarlierImage],
    fractions: Splits,
    near_duplicate_distance: int | None,
    given: Sequence[SplitName | None] | None = None,
) -> Assignment:
    """Assign a split to every image.

    Args:
        images: All images of this version.
        earlier: The images of earlier versions of the dataset, each sha256 once.
        fractions: Fraction of the images for each split.
        near_duplicate_distance: Images whose hashes differ in at most this many bits are connected; None: none are.
        given: The split that the annotations give each image, or None; by default they give none.

    Raises:
        DataError: There are fewer groups than splits that need images.
    """
    given, fractions = _completed(given or [None] * len(images), fractions)
    fixed = {image.sha256: split for image, split in zip(images, given, strict=True) if split is not None}
    fixed |= {entry.image.sha256: entry.split for entry in earlier}
    present = {image.sha256 for image in images}
    # Earlier images that this version lacks still keep their groups in their splits.
    everything = [*images, *(entry.image for entry in earlier if entry.image.sha256 not in present)]
    left_out, sets = _tie(everything, fixed, near_duplicate_distance)
    groups = [group for group in (_group(members, everything, fixed, len(images)) for members in sets) if group.members]
    alike = _mostly_alike(groups, images, near_duplicate_distance)
    count = sum(index < len(images) for index in left_out)
    fill_splits(groups, fractions, alike or _between_splits(count, len(images)))
    splits: list[SplitName | None] = [None] * len(images)
    names = [image.sha256 for image in images]
    for group in groups:
        for index in group.members:
            splits[index], names[index] = group.split, group.name
    if left_out:
        _log.warning("%d images are left out: each is similar to images in two splits", count)
    return Assignment(splits, names, alike)


def _between_splits(count: int, images: int) -> str:
    """What to do about images that are left out, if too few remain; empty if there are none."""
    if not count:
        return ""
    return (
        f"{count} of {counted(images, 'image')} are left out, because each is similar to images in two splits; keep "
        "them with --set data.near_duplicates=off, or split anew with sightline dataset split --near-duplicates or "
        "--set data.given_splits=off"
    )


def _completed(given: Sequence[SplitName | None], fractions: Splits) -> tuple[Sequence[SplitName | None], Splits]:
    """The given splits and the fractions, if the annotations give every image a split, but some splits have no image.

    Images for val are then taken from train, as they are needed for training; a test split remains empty.
    """
    if None in given or not given:
        return given, fractions
    if "val" not in given and fractions.val:
        given = [None if split == "train" else split for split in given]
    rest = fractions.train + fractions.val
    if ("test" not in given or None in given) and fractions.test and rest:
        fractions = Splits(train=fractions.train / rest, val=1 - fractions.train / rest, test=0)
    return given, fractions


def check_leaks(images: Sequence[SplitImage], splits: Sequence[SplitName], near_duplicate_distance: int | None) -> None:
    """Check that no group, no near-duplicates (unless they may be separated) and no equal files are in two splits.

    Raises:
        DataError: Related images are in two splits; the message names two of them.
    """
    for members in _tied(images, near_duplicate_distance):
        sides = {splits[index]: images[index].sha256 for index in members}
        if len(sides) > 1:
            named = " and ".join(f"{sha256} ({split})" for split, sha256 in sorted(sides.items()))
            raise DataError(
                f"images that belong together are in different splits: {named}; this is a bug in Sightline: please "
                "report it"
            )


def _mostly_alike(groups: Sequence[Group], images: Sequence[SplitImage], distance: int | None) -> str:
    """A warning if more than half of a dataset is one group because its images look alike; else empty."""
    largest = max(groups, key=lambda group: len(group.members), default=None)
    if distance is None or largest is None or 2 * len(largest.members) <= len(images) or len(largest.members) < 2:
        return ""
    parts = _tied([images[index] for index in largest.members], None)
    if 2 * max(len(part) for part in parts) > len(images):
        return ""  # connected by files or groups, regardless of appearance
    hashes = np.array([images[largest.members[part[0]]].perceptual_hash for part in parts], dtype=np.uint64)
    names = [images[largest.members[part[0]]] for part in parts]
    nearest = np.argsort(np.bitwise_count(hashes[1:] ^ hashes[0]), kind="stable")[: _EXAMPLES - 1] + 1
    examples = ", ".join(names[index].name or names[index].sha256[:12] for index in (0, *nearest.tolist()))
    return (
        f"{len(largest.members)} of {len(images)} images look alike (such as {examples}) and were put into one group, "
        f"because their perceptual hashes differ in at most data.near_duplicate_distance = {distance} bits; images "
        "from a fixed camera always look alike: for those, switch this off with --set data.near_duplicates=off"
    )


def _tied(images: Sequence[SplitImage], distance: int | None) -> list[list[int]]:
    hashes = np.array([image.perceptual_hash for image in images], dtype=np.uint64)
    return tie_images(hashes, [(image.sha256, image.group) for image in images], distance).sets()


def _tie(
    images: Sequence[SplitImage], fixed: Mapping[str, SplitName], distance: int | None
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
    members: Sequence[int], images: Sequence[SplitImage], fixed: Mapping[str, SplitName], distance: int | None
) -> list[list[int]]:
    """Rebuild a set image by image, without the images that would connect two splits."""

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
        tied = (files == files[row]) | (groups == groups[row])
        if distance is not None:
            tied |= np.bitwise_count(hashes ^ hashes[row]) <= distance
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
    """The group of a set of images; its members are the indices below ``present``, which this version contains."""
    members = [index for index in indices if index < present]
    splits = {fixed[images[index].sha256] for index in indices if images[index].sha256 in fixed}
    classes = Counter(name for index in members for name in images[index].classes)
    return Group(min(images[index].sha256 for index in indices), members, classes, next(iter(splits), None))
