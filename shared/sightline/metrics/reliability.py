"""What scores are worth: right and wrong decisions by score, calibration, and the best threshold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sightline.metrics.statistic import Bools, Floats

HISTOGRAM_BINS = 20
RELIABILITY_BINS = 10


def right_and_wrong(scores: Floats, right: Bools) -> tuple[list[int], list[int]]:
    """The numbers of right and of wrong decisions in bins of equal width from 0 to 1.

    Args:
        scores: [N], 0 to 1.
        right: [N].

    Returns:
        Two lists of :data:`HISTOGRAM_BINS` numbers.

    Example:
        >>> right, wrong = right_and_wrong(np.array([0.02, 0.98, 1.0]), np.array([False, False, True]))
        >>> right[-1], wrong[-1], wrong[0]
        (1, 1, 1)
    """
    bins = _bins(scores, HISTOGRAM_BINS)
    counts = [np.bincount(bins[kind], minlength=HISTOGRAM_BINS).tolist() for kind in (right, ~right)]
    return counts[0], counts[1]


def reliability(scores: Floats, right: Bools) -> list[tuple[float, float, int]]:
    """How often decisions are right, by their score (a reliability diagram; Niculescu-Mizil and Caruana, 2005).

    Args:
        scores: [N], 0 to 1.
        right: [N].

    Returns:
        For each of :data:`RELIABILITY_BINS` bins of equal width that is not empty: mean score, share of right
        decisions, both 0 to 1, and number of decisions.

    Example:
        >>> reliability(np.array([0.82, 0.84, 0.86, 0.88]), np.array([True, False, True, False]))
        [(0.85, 0.5, 4)]
    """
    bins = _bins(scores, RELIABILITY_BINS)
    numbers = np.bincount(bins, minlength=RELIABILITY_BINS)
    totals = np.bincount(bins, scores, RELIABILITY_BINS)
    hits = np.bincount(bins, right, RELIABILITY_BINS)
    return [
        (round(float(totals[one] / numbers[one]), 6), float(hits[one] / numbers[one]), int(numbers[one]))
        for one in np.flatnonzero(numbers)
    ]


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A score threshold with the quality of the detections from it on.

    Attributes:
        threshold: Lowest score that counts, 0 to 1.
        f1: Harmonic mean of precision and recall, 0 to 1.
        precision: Right detections / detections.
        recall: Right detections / true objects.
    """

    threshold: float
    f1: float
    precision: float
    recall: float


def best_operating_point(scores: Floats, right: Bools, truths: int) -> OperatingPoint | None:
    """The score threshold with the highest F1, halfway between two scores; of equally good ones, the highest.

    Args:
        scores: [N], of the detections of one class, 0 to 1.
        right: [N].
        truths: Number of true objects of the class.

    Returns:
        None if no detection is right.

    Example:
        >>> best_operating_point(np.array([0.9, 0.8, 0.3]), np.array([True, True, False]), 2).threshold
        0.55
    """
    if not right.any():
        return None
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], np.cumsum(right[order])
    last = np.flatnonzero(np.append(ranked[1:] < ranked[:-1], True))  # equal scores count together
    f1 = 2 * hits[last] / (last + 1 + truths)
    best = last[int(f1.argmax())]
    below = float(ranked[best + 1]) if best + 1 < len(ranked) else 0.0
    return OperatingPoint(
        threshold=round((float(ranked[best]) + below) / 2, 4),
        f1=float(f1.max()),
        precision=float(hits[best] / (best + 1)),
        recall=float(hits[best] / truths),
    )


def _bins(scores: Floats, number: int) -> npt.NDArray[np.intp]:
    return np.minimum((scores * number).astype(np.intp), number - 1)
