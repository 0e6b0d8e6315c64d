"""The metrics of classification by how often each image counts; see :mod:`sightline.metrics.statistic`.

For equal weights they equal those of :mod:`sightline.metrics.classification`, which scikit-learn computes; for other
weights, those of scikit-learn with ``sample_weight``.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from sightline.metrics.classification import CALIBRATION_BINS
from sightline.metrics.statistic import Bools, Columns, Floats, Ratio, Statistic

Score = Literal["precision", "recall", "f1"]
Average = Literal["macro", "weighted", "micro"]


@dataclass(frozen=True, slots=True)
class MeanOf:
    """The mean of several statistics, of those that have a value.

    Attributes:
        parts: The statistics.
    """

    parts: Sequence[Statistic]

    def values(self, weights: Floats) -> Floats:
        """See :meth:`sightline.metrics.statistic.Statistic.values`."""
        return _mean(np.array([part.values(weights) for part in self.parts]))


def _mean(rows: Floats) -> Floats:
    """The mean over the first axis without NaN; NaN where nothing else is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        means: Floats = np.nanmean(rows, axis=0)
    return means


@dataclass(frozen=True, slots=True)
class DecisionScore:
    """Precision, recall or F1 of decisions.

    Attributes:
        images: [N], the position of each row in the split.
        truth: [N, C], whether a class applies.
        decisions: [N, C], whether the model takes it to apply.
        score: What is computed.
        average: Over the classes in the truth: plain mean or weighted by their images; or all decisions together.
    """

    images: Columns
    truth: Bools
    decisions: Bools
    score: Score
    average: Average = "macro"

    def values(self, weights: Floats) -> Floats:
        """See :meth:`sightline.metrics.statistic.Statistic.values`."""
        counted = weights[:, self.images]
        right = counted @ (self.truth & self.decisions).astype(np.float64)
        true, found = counted @ self.truth.astype(np.float64), counted @ self.decisions.astype(np.float64)
        if self.average == "micro":
            right, true, found = (one.sum(axis=1, keepdims=True) for one in (right, true, found))
        above, below = {
            "precision": (right, found),
            "recall": (right, true),
            "f1": (2 * right, true + found),
        }[self.score]
        scores = np.divide(above, below, out=np.zeros_like(above), where=below > 0)
        present = true > 0
        shares = present * (true if self.average == "weighted" else 1.0)
        total = shares.sum(axis=1)
        values: Floats = np.divide(
            (scores * shares).sum(axis=1), total, out=np.full(len(weights), np.nan), where=total > 0
        )
        return values


@dataclass(frozen=True, slots=True)
class RankingScore:
    """The area under the ROC curve, or average precision, of one class.

    Attributes:
        images: [N], the position of each row in the split.
        truth: [N], whether the class applies.
        probabilities: [N], 0 to 1.
        score: What is computed.
    """

    images: Columns
    truth: Bools
    probabilities: Floats
    score: Literal["auroc", "average_precision"]

    def values(self, weights: Floats) -> Floats:
        """See :meth:`sightline.metrics.statistic.Statistic.values`."""
        order = np.argsort(-self.probabilities, kind="stable")
        ranked = self.probabilities[order]
        last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True)) if len(ranked) else order  # ends of ties
        counted = weights[:, self.images[order]]
        true = np.cumsum(np.where(self.truth[order], counted, 0.0), axis=1)[:, last]
        false = np.cumsum(np.where(self.truth[order], 0.0, counted), axis=1)[:, last]
        before = {name: np.diff(found, axis=1, prepend=0.0) for name, found in (("true", true), ("false", false))}
        positives, negatives = (found[:, -1] if len(last) else np.zeros(len(weights)) for found in (true, false))
        if self.score == "auroc":
            area = (before["false"] * (true - before["true"] / 2)).sum(axis=1)
            below = positives * negatives
        else:
            precision = np.divide(true, true + false, out=np.zeros_like(true), where=true + false > 0)
            area, below = (before["true"] * precision).sum(axis=1), positives
        values: Floats = np.divide(area, below, out=np.full(len(weights), np.nan), where=below > 0)
        return values


@dataclass(frozen=True, slots=True)
class CalibrationError:
    """The expected calibration error; see :func:`sightline.metrics.classification.calibration_error`.

    Attributes:
        images: [N], the position of each row in the split.
        truth: [N, C].
        probabilities: [N, C], 0 to 1.
        decisions: [N, C].
        multiple: Whether any number of the classes applies to an image.
    """

    images: Columns
    truth: Bools
    probabilities: Floats
    decisions: Bools
    multiple: bool

    def values(self, weights: Floats) -> Floats:
        """See :meth:`sightline.metrics.statistic.Statistic.values`."""
        counts = self.truth >= 0 if self.multiple else self.decisions
        right = self.truth if self.multiple else self.truth & self.decisions
        bins = np.minimum((self.probabilities * CALIBRATION_BINS).astype(np.intp), CALIBRATION_BINS - 1)
        rows = np.broadcast_to(np.arange(len(self.images))[:, None], bins.shape)
        size = (len(self.images), CALIBRATION_BINS)
        sums: list[npt.NDArray[np.float64]] = []
        for amounts in (np.where(counts, self.probabilities - right, 0.0), counts.astype(np.float64)):
            table = np.zeros(size)
            np.add.at(table, (rows, bins), amounts)
            sums.append(weights[:, self.images] @ table)
        differences, total = np.abs(sums[0]).sum(axis=1), sums[1].sum(axis=1)
        values: Floats = np.divide(differences, total, out=np.full(len(weights), np.nan), where=total > 0)
        return values


def share(images: Columns, right: Bools, count: int) -> Ratio:
    """The share of images that are right.

    Args:
        images: [N], the position of each row in the split.
        right: [N].
        count: Number of images of the split.
    """
    numerators, denominators = np.zeros(count), np.zeros(count)
    numerators[images] = right
    denominators[images] = 1.0
    return Ratio(numerators, denominators)
