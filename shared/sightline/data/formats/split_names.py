"""The split that names of folders, files and keys give to images."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sightline.data.annotations import SplitName

SPLIT_NAMES: dict[str, SplitName] = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val", "dev": "val", "publictest": "val",
    "test": "test", "testing": "test", "privatetest": "test",
}  # fmt: skip
"""Name in lower case -> split; PublicTest and PrivateTest are those of the face-emotion data set FER2013."""

_WORD = re.compile(r"[A-Za-z]+")


def split_named(name: str) -> SplitName | None:
    """The split that a folder, a key or a value names; None if it names none.

    Example:
        >>> split_named("Training"), split_named(" valid"), split_named("trains")
        ('train', 'val', None)
    """
    return SPLIT_NAMES.get(name.strip().lower())


def split_in(name: str) -> SplitName | None:
    """The split in a file name, as one of its words; None if there is none or several.

    Example:
        >>> split_in("instances_val2017.json"), split_in("train-test.json")
        ('val', None)
    """
    found = {split for word in _WORD.findall(name) if (split := split_named(word)) is not None}
    return found.pop() if len(found) == 1 else None


def split_of_folders(folders: Sequence[str]) -> SplitName | None:
    """The split of an image by the folders of its path; the innermost that names a split decides."""
    return next((split for folder in reversed(folders) if (split := split_named(folder)) is not None), None)
