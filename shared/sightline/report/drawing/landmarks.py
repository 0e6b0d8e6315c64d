"""Landmark pictures: the keypoints of objects alone, as input for other models or for people."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from sightline.data.label_schema import KeypointSchema
from sightline.report.drawing.skeletons import draw_skeletons

LandmarkMode = Literal["gray", "color", "heatmap"]

_DOT_SHARE = 0.008
"""Radius of a dot, relative to the longer side of the image."""

_SIGMA_SHARE = 0.015
"""Standard deviation of a Gaussian, relative to the longer side of the image."""


def draw_landmarks(
    image: Image.Image, keypoints: npt.NDArray[np.floating[Any]], schema: KeypointSchema, mode: LandmarkMode
) -> Image.Image:
    """A landmark picture as large as the image.

    Args:
        image: RGB; it is not changed.
        keypoints: float [N, K, 2], pixels of the image.
        schema: The keypoints.
        mode: ``gray``: white dots on black; ``color``: joints and limbs on the image; ``heatmap``: the sum of Gaussians
            around the keypoints, white from a value of 1 on.

    Returns:
        ``L`` for ``gray`` and ``heatmap``, ``RGB`` for ``color``.
    """
    if mode == "color":
        return draw_skeletons(image, keypoints, np.full(keypoints.shape[:2], 2), schema)
    if mode == "gray":
        return _dots(image.size, keypoints)
    return _gaussians(image.size, keypoints)


def _dots(size: tuple[int, int], keypoints: npt.NDArray[np.floating[Any]]) -> Image.Image:
    picture = Image.new("L", size)
    pen, radius = ImageDraw.Draw(picture), max(1.0, _DOT_SHARE * max(size))
    for x, y in keypoints.reshape(-1, 2).tolist():
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), 255)
    return picture


def _gaussians(size: tuple[int, int], keypoints: npt.NDArray[np.floating[Any]]) -> Image.Image:
    """Each Gaussian is the product of one along x and one along y, so that all are summed by a single product."""
    sigma = max(1.0, _SIGMA_SHARE * max(size))
    points = keypoints.reshape(-1, 2)
    across = np.exp(-((np.arange(size[0]) + 0.5 - points[:, :1]) ** 2) / (2 * sigma**2))
    down = np.exp(-((np.arange(size[1]) + 0.5 - points[:, 1:]) ** 2) / (2 * sigma**2))
    total = (down.T @ across).clip(0, 1)
    return Image.fromarray(np.rint(255 * total).astype(np.uint8))
