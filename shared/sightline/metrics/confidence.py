"""Precision, recall and F1 by score threshold, for choosing a threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sightline.metrics.matches import Matches

THRESHOLDS: npt.NDArray[np.float64] = np.linspace(0.0, 1.0, 101)
"""The score thresholds; a detection counts if its score is at least the threshold."""

IOU_THRESHOLD = 0.5
"""A detection is right if its IoU with a true object of its class is at least this."""


@dataclass(frozen=True, slots=True)
class ConfidenceCurve:
    """One model on one split, all classes together; each list has one value per entry of :data:`THRESHOLDS`.

    Attributes:
        precision: Right detections / detections; None if no detections remain.
        recall: Right detections / true objects; 0 without truth.
        f1: 2 * right detections / (detections + true objects), the harmonic mean of precision and recall.
        best_threshold: The threshold with the highest F1; the middle of the first such range.
    """

    precision: list[float | None]
    recall: list[float]
    f1: list[float]
    best_threshold: float

    def document(self) -> dict[str, Any]:
        """The curve as JSON values, rounded to 5 digits."""
        return {
            "precision": [None if value is None else round(value, 5) for value in self.precision],
            "recall": [round(value, 5) for value in self.recall],
            "f1": [round(value, 5) for value in self.f1],
            "best_threshold": self.best_threshold,
        }


def confidence_curve(matches: Matches) -> ConfidenceCurve:
    """Precision, recall and F1 at each of :data:`THRESHOLDS`, all classes together, at IoU :data:`IOU_THRESHOLD`.

    Example:
        Two true objects; the detection with score 0.8 is right, the one with 0.4 is wrong:

        >>> from sightline.metrics.overlaps import Found, Pairs, TrueObjects
        >>> places = np.array([0, 0])
        >>> curve = confidence_curve(Matches(
        ...     "box", ("square",),
        ...     Found(places, places, np.array([0.8, 0.4], np.float32), np.zeros(2, bool), np.arange(2)),
        ...     TrueObjects(places, places, np.zeros(2, bool), np.zeros(2, bool)),
        ...     Pairs(np.array([0]), np.array([1]), np.array([0.9])),
        ...     matched=np.tile([1, -1], (10, 1)), ignored=np.zeros((10, 2), bool), images=1))
        >>> curve.precision[40], curve.recall[40], curve.f1[40]
        (0.5, 0.5, 0.5)
        >>> curve.precision[41], round(curve.f1[41], 4), curve.precision[90], curve.best_threshold
        (1.0, 0.6667, None, 0.6)
    """
    counted = ~matches.ignored[0]
    # float32 like the scores of detections, so that the same detections count as in `Detections.above`.
    scores, right = matches.found.scores[counted], matches.right[0][counted]
    truths = int(np.count_nonzero(~matches.objects.ignored))
    order = np.argsort(-scores, kind="stable")
    right_so_far = np.concatenate([[0], np.cumsum(right[order], dtype=np.int64)])
    found = np.searchsorted(-scores[order], -THRESHOLDS.astype(np.float32), side="right")
    hits = right_so_far[found]
    f1 = (2 * hits / np.maximum(found + truths, 1)).tolist()
    return ConfidenceCurve(
        precision=[float(hit / n) if n else None for hit, n in zip(hits.tolist(), found.tolist(), strict=True)],
        recall=(hits / max(truths, 1)).tolist(),
        f1=f1,
        best_threshold=_middle_of_highest(f1),
    )


@dataclass(frozen=True, slots=True)
class RecallAtPrecision:
    """The highest recall that a model reaches while its precision is high enough, at IoU :data:`IOU_THRESHOLD`.

    Attributes:
        recall: Right detections / true objects, 0 to 1; 0 if the precision is never reached.
        score_threshold: The highest threshold with this recall, that is the lowest score that is kept; None if the
            precision is never reached.
    """

    recall: float
    score_threshold: float | None


def recall_at_precision(matches: Matches, precision: float, place: int | None = None) -> RecallAtPrecision | None:
    """The highest recall over all score thresholds at which the precision is at least ``precision``.

    Args:
        matches: Matches of a split.
        precision: Right detections / detections, above 0, at most 1.
        place: Position of a class; None: all classes together.

    Returns:
        None without true objects.

    Example:
        Of three detections the second one is wrong, so that precision is 1, 1/2 and 2/3:

        >>> from sightline.metrics.overlaps import Found, Pairs, TrueObjects
        >>> three, no = np.zeros(3, np.intp), np.zeros(3, bool)
        >>> matches = Matches(
        ...     "box", ("cat",), Found(three, three, np.array([0.9, 0.7, 0.5], np.float32), no, np.arange(3)),
        ...     TrueObjects(three, three, no, no), Pairs(three[:0], three[:0], np.zeros(0)),
        ...     np.tile([0, -1, 1], (10, 1)), np.zeros((10, 3), bool), 1)
        >>> recall_at_precision(matches, 0.6), recall_at_precision(matches, 0.9).score_threshold
        (RecallAtPrecision(recall=0.6666666666666666, score_threshold=0.5), 0.9)
    """
    of_class = np.ones(len(matches.found.scores), bool) if place is None else matches.found.classes == place
    to_find = (
        ~matches.objects.ignored if place is None else ~matches.objects.ignored & (matches.objects.classes == place)
    )
    if not to_find.any():
        return None
    counted = np.flatnonzero(~matches.ignored[0] & of_class)
    counted = counted[np.argsort(-matches.found.scores[counted], kind="stable")]
    scores = matches.found.scores[counted]
    hits = np.cumsum(matches.right[0][counted])
    last_of_score = np.append(scores[1:] != scores[:-1], True)[: len(scores)]
    enough = np.flatnonzero((hits >= precision * np.arange(1, len(hits) + 1)) & last_of_score & (hits > 0))
    if not len(enough):
        return RecallAtPrecision(0.0, None)
    best = enough[np.argmax(hits[enough])]
    return RecallAtPrecision(float(hits[best] / np.count_nonzero(to_find)), round(float(scores[best]), 6))


def _middle_of_highest(f1: Sequence[float]) -> float:
    first = last = max(range(len(f1)), key=lambda index: f1[index])
    while last + 1 < len(f1) and f1[last + 1] == f1[first]:
        last += 1
    return round(float(THRESHOLDS[(first + last) // 2]), 2)
