"""How unsure a prediction is, for choosing the images that are most worth labeling."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt


def detector_uncertainty(scores: npt.NDArray[np.floating]) -> float:
    """Uncertainty of the detections of one image: 1 if one of them is as likely right as wrong, 0 if all are sure.

    Args:
        scores: [N], 0 to 1.

    Example:
        >>> detector_uncertainty(np.array([0.98, 0.55])), detector_uncertainty(np.array([]))
        (0.9, 0.0)
    """
    return round(float((1.0 - np.abs(2.0 * np.asarray(scores, np.float64) - 1.0)).max(initial=0.0)), 6)


def class_uncertainty(probabilities: npt.NDArray[np.floating], *, multiple: bool) -> float:
    """Uncertainty of the classes of one image: the entropy of their distribution, 1 if all are equally probable.

    Args:
        probabilities: [C], 0 to 1.
        multiple: Whether any number of the classes applies; the class with the highest entropy counts then.

    Example:
        >>> class_uncertainty(np.array([0.5, 0.5]), multiple=False), class_uncertainty(np.array([1.0]), multiple=False)
        (1.0, 0.0)
    """
    values = np.clip(np.asarray(probabilities, np.float64), 1e-12, 1.0)
    if multiple:
        other = np.clip(1.0 - values, 1e-12, 1.0)
        return round(float(-(values * np.log2(values) + other * np.log2(other)).min(initial=0.0)), 6) + 0.0
    if len(values) < 2:
        return 0.0
    return round(float(-(values * np.log(values)).sum()) / math.log(len(values)), 6) + 0.0
