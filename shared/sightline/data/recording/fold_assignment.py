"""Assigns images to the folds of a cross-validation.

Related images stay together, the classes are balanced over the folds, and an image keeps its fold from version to
version.  Groups are assigned one after another, those with the most images first, each to the fold where the counts of
images and classes stay closest together, as scikit-learn's ``StratifiedGroupKFold`` does it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sightline.errors import DataError
from sightline.plural import counted


@dataclass(frozen=True, slots=True)
class FoldImage:
    """The facts about an image that determine its fold.

    Attributes:
        sha256: SHA-256 of the image file.
        tied: Images with the same value stay together.
        classes: Its classes, one for each object, and those of the whole image.
    """

    sha256: str
    tied: str
    classes: tuple[str, ...]


def assign_folds(images: Sequence[FoldImage], folds: int, earlier: Mapping[str, int]) -> list[int]:
    """Assign a fold to every image.

    Args:
        images: The images of the splits train and val.
        folds: Number of folds, at least 2.
        earlier: SHA-256 -> fold of images of earlier versions with the same number of folds.

    Returns:
        The fold of each image, from 1.  Neither the order nor the names of the images matter.

    Raises:
        DataError: There are fewer groups of images than folds.
    """
    groups: dict[str, list[int]] = defaultdict(list)
    for index, image in enumerate(images):
        groups[image.tied].append(index)
    if len(groups) < folds:
        raise DataError(
            f"{counted(len(images), 'image')} of train and val in {counted(len(groups), 'group')}: too few groups for "
            f"data.folds={folds}; add images, set data.folds to at most {len(groups)}, or group fewer images together "
            "(data.group_pattern, data.near_duplicates)"
        )
    names = sorted({name for image in images for name in image.classes})
    columns = {name: number for number, name in enumerate(names, start=1)}
    counts = {tied: _counts([images[index] for index in members], columns) for tied, members in groups.items()}
    kept = {tied: _kept([images[index] for index in members], earlier) for tied, members in groups.items()}
    chosen = _assigned(counts, {tied: fold for tied, fold in kept.items() if fold}, folds)
    return [chosen[image.tied] for image in images]


def _counts(members: Sequence[FoldImage], columns: Mapping[str, int]) -> npt.NDArray[np.float64]:
    """Number of images, and of images with each class."""
    row = np.zeros(len(columns) + 1)
    row[0] = len(members)
    for member in members:
        row[[columns[name] for name in set(member.classes)]] += 1
    return row


def _kept(members: Sequence[FoldImage], earlier: Mapping[str, int]) -> int:
    """The fold that most members had in earlier versions; 0 if they are new."""
    before = Counter(earlier[member.sha256] for member in members if member.sha256 in earlier)
    return min(before, key=lambda fold: (-before[fold], fold), default=0)


def _assigned(counts: Mapping[str, npt.NDArray[np.float64]], kept: Mapping[str, int], folds: int) -> dict[str, int]:
    """Group -> fold, from 1."""
    total = np.maximum(sum(counts.values(), np.zeros(0 if not counts else len(next(iter(counts.values()))))), 1.0)
    held = np.zeros((folds, len(total)))
    for tied, fold in kept.items():
        held[fold - 1] += counts[tied]
    chosen = dict(kept)
    free = sorted(counts.keys() - kept.keys(), key=lambda tied: (-float((counts[tied] / total).max()), tied))
    empty = {fold for fold in range(folds) if not held[fold, 0]}
    for left, tied in zip(range(len(free), 0, -1), free, strict=True):
        candidates = sorted(empty) if left <= len(empty) else list(range(folds))
        spreads = [_spread(held, fold, counts[tied], total) for fold in candidates]
        best = candidates[int(np.argmin(spreads))]
        held[best] += counts[tied]
        empty.discard(best)
        chosen[tied] = best + 1
    return chosen


def _spread(
    held: npt.NDArray[np.float64], fold: int, added: npt.NDArray[np.float64], total: npt.NDArray[np.float64]
) -> float:
    """How unequal the folds are if a group is added to one of them."""
    after = held.copy()
    after[fold] += added
    return round(float((after / total).std(axis=0).mean()), 12)
