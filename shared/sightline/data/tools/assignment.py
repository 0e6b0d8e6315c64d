"""Assigns images to train, val and test: stratified by class, grouped, seeded and stable."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sightline.config.data import Data, Splits
from sightline.data.annotations import SplitName
from sightline.data.images import UnreadableImageError, image_facts, read_bytes
from sightline.data.recording.filling import SPLITS, Group, fill_splits
from sightline.data.recording.fingerprint import tie_images
from sightline.data.tools.listing import refuse
from sightline.errors import DataError
from sightline.files import file_sha256
from sightline.logs import Progress

MAX_PIXELS: int = Data.model_fields["max_pixels"].default
_DISTANCE: int = Data.model_fields["near_duplicate_distance"].default
_ADVICE = "add images, set --val or --test to 0, or group fewer images together (--group-pattern, --near-duplicates)"


@dataclass(frozen=True, slots=True)
class SplitRule:
    """How a dataset is split.

    Attributes:
        val: Fraction of the images for val.
        test: Fraction for test; train gets the rest.
        seed: Another seed makes another split.
        group_pattern: Regular expression searched in the path of an image; its first capture group is the image's
            group, whose images stay together.
        near_duplicates: Whether images that look alike stay together; they are decoded for this.
    """

    val: float = 0.2
    test: float = 0.1
    seed: int = 0
    group_pattern: str = ""
    near_duplicates: bool = False

    def __post_init__(self) -> None:
        if not (self.val >= 0 and self.test >= 0 and self.val + self.test < 1):
            raise DataError(
                f"val {self.val:g} and test {self.test:g}: expected fractions of 0 or more whose sum is below 1"
            )
        try:
            groups = re.compile(self.group_pattern).groups
        except re.error as error:
            raise DataError(f"group pattern {self.group_pattern!r} is not a regular expression: {error}") from error
        if self.group_pattern and not groups:
            raise DataError(
                f"group pattern {self.group_pattern!r} has no group in parentheses; expected e.g. (person[0-9]+)_"
            )


@dataclass(frozen=True, slots=True)
class Member:
    """An image to be assigned.

    Attributes:
        name: Its path relative to the dataset, POSIX, in which the group is searched.
        path: The file.
        classes: The classes that it shows.
    """

    name: str
    path: Path
    classes: frozenset[str]


def assign(members: Sequence[Member], rule: SplitRule) -> list[SplitName]:
    """The split of every image.

    Identical files always stay together.  The result depends on the contents of the images, not on their order.

    Raises:
        DataError: Images cannot be read, or there are fewer groups than splits.
    """
    digests, hashes = _fingerprints(members, rule)
    keys = [
        (digest, _group(member.name, rule.group_pattern) or digest)
        for digest, member in zip(digests, members, strict=True)
    ]
    tied = tie_images(hashes, keys, _DISTANCE if rule.near_duplicates else None).sets()
    groups = [
        Group(
            min(hashlib.sha256(f"{rule.seed}:{digests[index]}".encode()).hexdigest() for index in indices),
            indices,
            Counter(name for index in indices for name in members[index].classes),
        )
        for indices in tied
    ]
    train = round(1 - rule.val - rule.test, 9)
    fill_splits(groups, Splits(train=train, val=rule.val, test=rule.test), _ADVICE)
    splits: list[SplitName] = ["train"] * len(members)
    for group in groups:
        for index in group.members:
            splits[index] = group.split or "train"
    return splits


def counts_of(members: Sequence[Member], splits: Sequence[SplitName]) -> dict[str, dict[SplitName, int]]:
    """Class -> split -> number of images, for all classes and splits; an empty name counts all images."""
    counts: dict[str, dict[SplitName, int]] = {"": dict.fromkeys(SPLITS, 0)}
    for member, split in zip(members, splits, strict=True):
        for name in ("", *member.classes):
            counts.setdefault(name, dict.fromkeys(SPLITS, 0))[split] += 1
    return dict(sorted(counts.items()))


def _group(name: str, pattern: str) -> str:
    match = re.search(pattern, name) if pattern else None
    return (match[1] or "") if match else ""


def _fingerprints(members: Sequence[Member], rule: SplitRule) -> tuple[list[str], np.ndarray]:
    digests, hashes, faults = [], [], []
    with Progress("read images", total=len(members), unit="images") as progress:
        for member in members:
            try:
                if rule.near_duplicates:
                    facts = image_facts(read_bytes(member.path, MAX_PIXELS), MAX_PIXELS, member.name)
                    digests.append(facts.sha256)
                    hashes.append(facts.perceptual_hash)
                else:
                    digests.append(file_sha256(member.path))
                    hashes.append(0)
            except UnreadableImageError as error:
                faults.append(f"{member.name}: {error.reason}; {error.remedy}")
            progress.advance()
    refuse("the images", faults)
    return digests, np.array(hashes, dtype=np.uint64)
