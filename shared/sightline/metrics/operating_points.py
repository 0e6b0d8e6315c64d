"""Decisions from probabilities: which classes of a label set apply to an image, and from which probability on."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

DEFAULT_THRESHOLD = 0.5


def decide(probabilities: npt.NDArray[np.floating], thresholds: npt.NDArray[np.floating], *, multiple: bool) -> Bools:
    """The classes of one label set that apply to each image.

    Of a label set with exactly one class per image it is the most probable one, the first if several are.  If such a
    set has two classes and the second one has a threshold, it is the second one from that probability on.

    Args:
        probabilities: [N, C], 0 to 1.
        thresholds: [C]: the probability from which on a class applies; NaN: 0.5.
        multiple: Whether any number of the classes applies to an image, or exactly one.

    Returns:
        [N, C].

    Example:
        >>> decide(np.array([[0.7, 0.3]]), np.array([np.nan, 0.2]), multiple=False).tolist()
        [[False, True]]
        >>> decide(np.array([[0.7, 0.6, 0.1]]), np.full(3, np.nan), multiple=True).tolist()
        [[True, True, False]]
    """
    if multiple:
        return np.asarray(probabilities >= np.where(np.isnan(thresholds), DEFAULT_THRESHOLD, thresholds))
    if not len(probabilities) or not probabilities.shape[1]:
        return np.zeros(probabilities.shape, dtype=bool)
    chosen = probabilities.argmax(axis=1)
    if probabilities.shape[1] == 2 and not np.isnan(thresholds[1]):
        chosen = (probabilities[:, 1] >= thresholds[1]).astype(np.intp)
    return np.asarray(np.arange(probabilities.shape[1]) == chosen[:, None])


def best_threshold(truth: Bools, probabilities: npt.NDArray[np.floating]) -> float:
    """The probability from which on a class should be taken to apply, so that its F1 is highest.

    Thresholds lie halfway between neighboring probabilities; of equally good ones, the nearest to 0.5 is taken.  If the
    class applies to no image or to all, nothing can be chosen: 0.5.

    Args:
        truth: [N], whether the class applies.
        probabilities: [N], 0 to 1.

    Example:
        >>> best_threshold(np.array([False, False, True, True]), np.array([0.1, 0.2, 0.3, 0.9]))
        0.25
    """
    positives = int(truth.sum())
    if not positives or positives == len(truth):
        return DEFAULT_THRESHOLD
    values = np.unique(np.asarray(probabilities, dtype=np.float64))
    candidates = np.concatenate([[DEFAULT_THRESHOLD], values[:1] / 2, (values[1:] + values[:-1]) / 2])
    order = np.sort(probabilities)
    of_true = np.sort(probabilities[truth])
    found = len(order) - np.searchsorted(order, candidates)
    right = positives - np.searchsorted(of_true, candidates)
    f1 = 2 * right / (found + positives)
    best = np.flatnonzero(f1 >= f1.max() - 1e-12)
    return float(candidates[best[np.abs(candidates[best] - DEFAULT_THRESHOLD).argmin()]])
