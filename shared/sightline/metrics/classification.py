"""Metrics of one label set, by scikit-learn.

Means over classes are means over the classes with at least one true image in the split; a class without any has no
metrics.  If such a class is predicted, that is a mistake of the true class.  A class that is never predicted has
precision 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from sightline.metrics.operating_points import Bools, Floats

CALIBRATION_BINS = 15
CURVE_POINTS = 101
_PER_CLASS = ("precision", "recall", "f1")


@dataclass(frozen=True, slots=True)
class RocCurve:
    """A ROC curve at false positive rates 0, 0.01, ..., 1.

    Attributes:
        true_positive_rates: [101], 0 to 1.
        thresholds: [101], falling from 1 to 0.
    """

    true_positive_rates: list[float]
    thresholds: list[float]


@dataclass(frozen=True, slots=True)
class ClassificationScores:
    """The metrics of one label set.

    Attributes:
        values: Metrics by name; metrics that cannot be computed are absent.
        per_class: One entry for each class: ``images`` (with the class), ``predicted`` (images) and, if the class is in
            the truth, ``precision``, ``recall``, ``f1``, ``auroc`` and ``average_precision``.
        roc: The ROC curve of each class, by index; only of classes that some, but not all images have.
    """

    values: dict[str, float] = field(default_factory=dict)
    per_class: list[dict[str, float]] = field(default_factory=list)
    roc: dict[int, RocCurve] = field(default_factory=dict)


def score_label_set(truth: Bools, probabilities: Floats, decisions: Bools, *, multiple: bool) -> ClassificationScores:
    """Compute the metrics of one label set.

    Args:
        truth: [N, C], whether a class applies to an image.
        probabilities: [N, C], 0 to 1.
        decisions: [N, C], which classes the model takes to apply.
        multiple: Whether any number of the classes applies to an image, or exactly one.

    Returns:
        Nothing for a split without images.

    Example:
        >>> truth, sure = np.eye(2, dtype=bool), np.array([[0.9, 0.1], [0.6, 0.4]])
        >>> scores = score_label_set(truth, sure, sure >= 0.5, multiple=False)
        >>> scores.values["accuracy"], scores.values["recall_macro"], scores.values["auroc"]
        (0.5, 0.5, 1.0)
    """
    from sklearn import metrics

    if not len(truth):
        return ClassificationScores()
    per_class = [_of_class(truth[:, one], probabilities[:, one], decisions[:, one]) for one in range(truth.shape[1])]
    present = np.flatnonzero(truth.any(axis=0))
    values = {
        "accuracy": float(metrics.accuracy_score(truth, decisions)),
        "calibration_error": calibration_error(truth, probabilities, decisions, multiple=multiple),
    }
    if len(present):
        values |= _averages([per_class[one] for one in present], truth, decisions)
    for name in ("auroc", "average_precision"):
        if found := [row[name] for row in per_class if name in row]:
            values[name] = float(np.mean(found))
    roc = {one: roc_curve(truth[:, one], probabilities[:, one]) for one, row in enumerate(per_class) if "auroc" in row}
    return ClassificationScores(values, per_class, roc)


def _averages(rows: list[dict[str, float]], truth: Bools, decisions: Bools) -> dict[str, float]:
    """Means over the classes in the truth, plain and weighted by images, and the values of all decisions together."""
    images = [row["images"] for row in rows]
    values = {}
    for name in _PER_CLASS:
        of_classes = [row[name] for row in rows]
        values[f"{name}_macro"] = float(np.mean(of_classes))
        values[f"{name}_weighted"] = float(np.average(of_classes, weights=images))
    return values | {f"{name}_micro": value for name, value in _binary(truth.ravel(), decisions.ravel()).items()}


def _binary(truth: Bools, decisions: Bools) -> dict[str, float]:
    from sklearn import metrics

    found = metrics.precision_recall_fscore_support(truth, decisions, average="binary", zero_division=0)
    return {name: float(value) for name, value in zip(_PER_CLASS, found, strict=False)}


def _of_class(truth: npt.NDArray[np.bool_], probabilities: Floats, decisions: Bools) -> dict[str, float]:
    from sklearn import metrics

    row: dict[str, float] = {"images": int(truth.sum()), "predicted": int(decisions.sum())}
    if not truth.any():
        return row
    row |= _binary(truth, decisions)
    row["average_precision"] = float(metrics.average_precision_score(truth, probabilities))
    if not truth.all():
        row["auroc"] = float(metrics.roc_auc_score(truth, probabilities))
    return row


def roc_curve(truth: Bools, probabilities: Floats) -> RocCurve:
    """The ROC curve of decisions, some of which are true and some are not.

    Args:
        truth: [N].
        probabilities: [N], 0 to 1.
    """
    from sklearn import metrics

    false, true, thresholds = metrics.roc_curve(truth, probabilities)
    grid = np.linspace(0, 1, CURVE_POINTS)
    at = np.interp(grid, false, np.clip(thresholds, 0, 1))
    return RocCurve(np.interp(grid, false, true).tolist(), np.minimum.accumulate(at).tolist())


def calibration_error(truth: Bools, probabilities: Floats, decisions: Bools, *, multiple: bool) -> float:
    """The expected calibration error (Guo et al., 2017) with 15 bins of equal width.

    Of a label set with one class per image, the probability of the decision is compared with how often decisions are
    right; of one with any number of classes, the probability of each class with how often the class applies.

    Args:
        truth: [N, C].
        probabilities: [N, C], 0 to 1.
        decisions: [N, C].
        multiple: Whether any number of the classes applies to an image.

    Returns:
        The mean distance of the two in the bins, weighted by their number of decisions, 0 to 1; 0 without any.

    Example:
        >>> truth, sure = np.array([[True, False], [False, True]]), np.array([[0.8, 0.2], [0.8, 0.2]])
        >>> round(calibration_error(truth, sure, sure >= 0.5, multiple=False), 3)  # 80 % sure, right in 50 %
        0.3
    """
    if multiple:
        confidence, right = probabilities.ravel(), truth.ravel()
    else:
        decided = np.asarray(decisions.any(axis=1))
        confidence, right = probabilities[decisions], np.asarray((truth & decisions).any(axis=1))[decided]
    if not len(confidence):
        return 0.0
    bins = np.minimum((confidence * CALIBRATION_BINS).astype(np.intp), CALIBRATION_BINS - 1)
    counts = np.bincount(bins, minlength=CALIBRATION_BINS)
    differences = np.bincount(bins, confidence - right, CALIBRATION_BINS)
    return float(np.abs(differences).sum() / counts.sum())
