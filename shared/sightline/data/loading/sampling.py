"""How often each image is used in a pass, from the classes of its objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

Sampling = Literal["uniform", "repeat_factor", "class_balanced"]
Floats = npt.NDArray[np.float64]


def image_weights(sampling: Sampling, classes: Sequence[Sequence[int]], threshold: float) -> Floats | None:
    """How often each image is used in a pass, on average; None: each once.

    Args:
        sampling: The setting ``train.sampling``.
        classes: The labels of the objects of each image.
        threshold: The setting ``train.repeat_threshold``.
    """
    if sampling == "repeat_factor":
        return repeat_factors(classes, threshold)
    if sampling == "class_balanced":
        return class_balance(classes)
    return None


def repeat_factors(classes: Sequence[Sequence[int]], threshold: float) -> Floats:
    """Repeat factors of LVIS (Gupta et al., 2019, section 5).

    A class in a fraction f of the images has the factor max(1, sqrt(threshold / f)); an image has the largest factor of
    its classes, and 1 without objects.

    Example:
        >>> repeat_factors([[1], [1], [1], [1, 2], []], 0.8).tolist()
        [1.0, 1.0, 1.0, 2.0, 1.0]
    """
    factors = {
        label: max(1.0, float(np.sqrt(threshold * len(classes) / count)))
        for label, count in _images_of(classes).items()
    }
    return np.array([max((factors[label] for label in found), default=1.0) for found in classes])


def class_balance(classes: Sequence[Sequence[int]]) -> Floats:
    """Weights with which all classes are drawn equally often: a class first, then one of its images.

    Images without objects keep their share; all weights sum to the number of images.

    Example:
        >>> class_balance([[1], [1], [1], [2], []]).round(3).tolist()
        [0.667, 0.667, 0.667, 2.0, 1.0]
    """
    images = _images_of(classes)
    labeled = sum(1 for found in classes if found)
    share = labeled / max(1, len(images))
    return np.array([sum(share / images[label] for label in set(found)) if found else 1.0 for found in classes])


def _images_of(classes: Sequence[Sequence[int]]) -> dict[int, int]:
    """The number of images of each class."""
    counts: dict[int, int] = {}
    for found in classes:
        for label in set(found):
            counts[label] = counts.get(label, 0) + 1
    return counts


def systematic_counts(weights: Floats, total: int, start: float) -> npt.NDArray[np.int64]:
    """Whole counts with the sum ``total`` that are on average proportional to weights (Madow, 1949).

    Args:
        weights: [N], positive.
        total: The sum of the counts.
        start: Random, 0 to 1.

    Returns:
        int64 [N]; each count is the expected one, rounded down or up.

    Example:
        >>> systematic_counts(np.array([1.0, 2.5, 0.5]), 4, 0.7).tolist()
        [1, 3, 0]
    """
    ends = np.cumsum(weights) * (total / weights.sum())
    ends[-1] = total
    counts: npt.NDArray[np.int64] = np.diff(np.floor(ends + start).astype(np.int64), prepend=0)
    return counts
