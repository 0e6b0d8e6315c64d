"""Chooses the images most worth labeling: those that the model is unsure of, and that differ from each other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from sightline.data.formats.coco import CocoImage
from sightline.data.images import read_image

Floats = npt.NDArray[np.float64]

_SIDE = 8
_LEAST = 0.05
"""The uncertainty of an image that the model is sure of, so that it is still chosen for being different."""


def most_worth(
    root: Path, listed: Sequence[CocoImage], uncertainties: Sequence[float], count: int, max_pixels: int
) -> list[int]:
    """The images most worth labeling, the most important first.

    Args:
        root: The folder that file names are relative to.
        listed: The images.
        uncertainties: One for each image, 0 to 1.
        count: Maximum number of images.
        max_pixels: Images with more pixels are rejected.

    Returns:
        Indices of the images.
    """
    features = np.array([image_features(read_image(root / one["file_name"], max_pixels)) for one in listed])
    return spread(features, np.asarray(uncertainties, np.float64), count)


def image_features(image: Image.Image) -> Floats:
    """What an image looks like: float64 [192], a thumbnail of 8 x 8 colors with a length of 1 after centering."""
    small = np.asarray(image.resize((_SIDE, _SIDE), Image.Resampling.BOX), np.float64).ravel()
    centered = small - small.mean()
    length = float(np.linalg.norm(centered))
    return np.asarray(centered / length if length > 0 else centered)


def spread(features: Floats, uncertainties: Floats, count: int) -> list[int]:
    """Choose greedily: the next image is the one with the highest uncertainty x distance to the nearest chosen one.

    This is the greedy k-center method (Sener and Savarese, 2018, arXiv 1708.00489) with distances weighted by
    uncertainty.  Of equal images the first is chosen.

    Args:
        features: [N, F].
        uncertainties: [N], 0 to 1.
        count: Maximum number of images.

    Example:
        >>> spread(np.array([[0.0], [0.1], [1.0]]), np.array([0.9, 0.8, 0.5]), 2)
        [0, 2]
    """
    worth = np.maximum(uncertainties, _LEAST)
    distances = np.full(len(features), np.inf)
    chosen: list[int] = []
    while len(chosen) < min(count, len(features)):
        gain = worth if not chosen else worth * distances
        gain = np.where(np.isin(np.arange(len(features)), chosen), -1.0, gain)
        best = int(gain.argmax())
        chosen.append(best)
        distances = np.minimum(distances, np.linalg.norm(features - features[best], axis=1))
    return chosen
