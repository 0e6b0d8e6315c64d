"""Precision, recall and F1 by score threshold, for choosing a threshold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

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


def confidence_curve(matches: Sequence[Mapping[str, Any]]) -> ConfidenceCurve:
    """Precision, recall and F1 at each of :data:`THRESHOLDS`.

    Args:
        matches: ``COCOeval.evalImgs`` of one area range, with :data:`IOU_THRESHOLD` as the first IoU threshold.

    Example:
        Two true objects; the detection with score 0.8 is right, the one with 0.4 is wrong:

        >>> found = {"dtScores": [0.8, 0.4], "dtMatches": np.array([[7, 0]]), "dtIgnore": np.array([[0, 0]]),
        ...          "gtIgnore": np.array([0, 0])}
        >>> curve = confidence_curve([found])
        >>> curve.precision[40], curve.recall[40], curve.f1[40]
        (0.5, 0.5, 0.5)
        >>> curve.precision[41], round(curve.f1[41], 4), curve.precision[90], curve.best_threshold
        (1.0, 0.6667, None, 0.6)
    """
    # float32 like the scores of detections, so that the same detections count as in `Detections.above`.
    counted = [np.asarray(one["dtIgnore"])[0] == 0 for one in matches]
    scores = _joined(
        [np.asarray(one["dtScores"], np.float32)[kept] for one, kept in zip(matches, counted, strict=True)]
    )
    right = _joined(
        [(np.asarray(one["dtMatches"])[0] > 0)[kept] for one, kept in zip(matches, counted, strict=True)]
    ).astype(np.int64)
    truths = int(sum(np.count_nonzero(np.asarray(one["gtIgnore"]) == 0) for one in matches))
    order = np.argsort(-scores, kind="stable")
    right_so_far = np.concatenate([[0], np.cumsum(right[order])])
    found = np.searchsorted(-scores[order], -THRESHOLDS.astype(np.float32), side="right")
    hits = right_so_far[found]
    f1 = (2 * hits / np.maximum(found + truths, 1)).tolist()
    return ConfidenceCurve(
        precision=[float(hit / n) if n else None for hit, n in zip(hits.tolist(), found.tolist(), strict=True)],
        recall=(hits / max(truths, 1)).tolist(),
        f1=f1,
        best_threshold=_middle_of_highest(f1),
    )


def _joined(parts: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def _middle_of_highest(f1: Sequence[float]) -> float:
    first = last = max(range(len(f1)), key=lambda index: f1[index])
    while last + 1 < len(f1) and f1[last + 1] == f1[first]:
        last += 1
    return round(float(THRESHOLDS[(first + last) // 2]), 2)
