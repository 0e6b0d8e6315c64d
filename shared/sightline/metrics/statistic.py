"""Metrics as functions of how often each image counts, for intervals, comparisons and slices.

A :class:`Statistic` contains everything that a metric needs of each image, so that its value for a part of the images,
or for images that are repeated, is computed without matching anything again.  An image with the weight 2 counts exactly
like two copies of it; with the weight 0 it does not exist.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Columns = npt.NDArray[np.intp]

RECALLS: Floats = np.linspace(0.0, 1.0, 101)
"""The recall levels at which precision is sampled, as in COCO."""

_BLOCK_VALUES = 200_000
"""Detections times rows of weights that are computed together: few enough for the cache of a processor."""

_FEW = 3000
"""Up to this number of right detections it is faster to find the recall of each of them than the reverse."""


class Statistic(Protocol):
    """A metric of one model on one split, by how often each image counts."""

    def values(self, weights: Floats) -> Floats:
        """The value of the metric for each row of weights.

        Args:
            weights: [R, I], 0 or more: how often each image counts, in the order of the images of the split.  Values
                are computed with the precision of their type: float64, or float32 for resamples.

        Returns:
            [R]; NaN where the metric cannot be computed, because no image with truth for it counts.
        """
        ...


@dataclass(frozen=True, slots=True)
class Ratio:
    """A metric that is one sum over images divided by another, such as accuracy.

    Example:
        >>> reads = Ratio(np.array([1.0, 0.0, 3.0]), np.array([1.0, 2.0, 3.0]))  # read of existing plates, per image
        >>> reads.values(np.array([[1.0, 1.0, 1.0], [1.0, 1.0, 0.0], [0.0, 0.0, 0.0]])).round(3).tolist()
        [0.667, 0.333, nan]

    Attributes:
        numerators: [I].
        denominators: [I].
    """

    numerators: Floats
    denominators: Floats

    def values(self, weights: Floats) -> Floats:
        """See :meth:`Statistic.values`."""
        below = weights @ self.denominators
        values: Floats = np.divide(weights @ self.numerators, below, out=np.full(len(below), np.nan), where=below > 0)
        return values


@dataclass(frozen=True, slots=True)
class ClassMatches:
    """The detections of one class on all images of a split, and which of them are right.

    Attributes:
        images: [N], the position of the image of each detection in the split; detections by descending score, those
            with equal scores in the order in which the evaluator ranks them.
        right: [T, N], whether a detection was matched with a true object, for each of T overlap thresholds.
        ignored: [T, N], whether a detection does not count, such as one on a crowd.
        truths: [I], the number of true objects to be found in each image.
    """

    images: Columns
    right: Bools
    ignored: Bools
    truths: Floats


@dataclass(frozen=True, slots=True)
class AveragePrecision:
    """Average precision at 101 recalls, the mean over overlap thresholds and over classes with truth.

    Example:
        Two images with one object each; in the first it is found, in the second there is only a false detection:

        >>> matches = ClassMatches(np.array([0, 1]), np.array([[True, False]]), np.zeros((1, 2), bool), np.ones(2))
        >>> average = AveragePrecision([matches])
        >>> average.values(np.array([[1.0, 1.0], [1.0, 0.0], [0.0, 1.0]])).round(4).tolist()
        [0.505, 1.0, 0.0]

    Attributes:
        classes: The matches of each class.
    """

    classes: Sequence[ClassMatches]

    def values(self, weights: Floats) -> Floats:
        """See :meth:`Statistic.values`."""
        total, counted = np.zeros(len(weights)), np.zeros(len(weights))
        for matches in self.classes:
            of_class = average_precisions(matches, weights)
            known = ~np.isnan(of_class)
            total[known] += of_class[known]
            counted += known
        values: Floats = np.divide(total, counted, out=np.full(len(weights), np.nan), where=counted > 0)
        return values


def average_precisions(matches: ClassMatches, weights: Floats) -> Floats:
    """Average precision of one class for each row of weights, the mean over the overlap thresholds.

    Only the right detections need to be visited: between two of them recall is constant and precision falls.

    Args:
        matches: The detections of the class.
        weights: [R, I].

    Returns:
        [R], 0 to 1; NaN where no true object counts.
    """
    truths = weights @ matches.truths
    result = np.full(len(weights), np.nan)
    # Detections of images that never count, such as those outside of a slice, are left out.
    counting: Bools = np.asarray(weights.any(axis=0))
    kept = np.flatnonzero(counting[matches.images])
    images, ignored = matches.images[kept], matches.ignored[:, kept]
    plain: Bools = np.asarray(~ignored.any(axis=1))
    places = [np.flatnonzero(right[kept] & ~others) for right, others in zip(matches.right, ignored, strict=True)]
    rows = np.flatnonzero(truths > 0)
    block = max(_BLOCK_VALUES // max(len(kept), 1), 1)
    for start in range(0, len(rows), block):
        of_block = rows[start : start + block]
        of_detections = weights[of_block][:, images]
        ranks = np.cumsum(of_detections, axis=1)
        total = np.zeros(len(of_block))
        for threshold, at in enumerate(places):
            if len(at):
                found = ranks
                if not plain[threshold]:
                    found = np.cumsum(np.where(ignored[threshold], of_detections.dtype.type(0), of_detections), axis=1)
                total += _area(np.cumsum(of_detections[:, at], axis=1), found[:, at], truths[of_block])
        result[of_block] = total / (len(RECALLS) * len(places))
    return result


def _area(right: Floats, found: Floats, truths: Floats) -> Floats:
    """The sum of the precision at all recalls.

    Args:
        right: [R, P], the number of right detections up to each right detection, with it.
        found: [R, P], the number of all detections up to it.
        truths: [R], the number of true objects, more than 0.
    """
    # A detection of an image that does not count (weight 0) may come before all others.
    precision = np.divide(right, found, out=np.zeros_like(right), where=found > 0)
    precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    recall = right / truths[:, None].astype(right.dtype)
    recalls = RECALLS.astype(right.dtype)
    if right.shape[1] <= _FEW:
        levels = np.minimum((recall * (len(recalls) - 1) + 1e-4).astype(np.intp), len(recalls) - 1)
        levels += recalls[levels] <= recall  # how many of the recalls are reached, exactly
        few: Floats = (precision * np.diff(levels, axis=1, prepend=0)).sum(axis=1)
        return few
    area = np.zeros(len(right))
    for row in range(len(right)):
        reached = np.searchsorted(recall[row], recalls, side="left")
        area[row] = precision[row, reached[reached < right.shape[1]]].sum()
    return area
