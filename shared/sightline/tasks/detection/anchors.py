"""Anchor sizes fitted to the boxes of a data set."""

from __future__ import annotations

import logging

import numpy as np
import numpy.typing as npt

from sightline.config.network import Detector
from sightline.data.formats.coco import CocoDocument
from sightline.models.backbone_names import PYRAMID_STRIDES

_SMALLEST, _LARGEST = 3, 16
"""Limits of an anchor size in strides of its level.

Smaller anchors are so far apart that an object between two of them overlaps with neither by half.  Larger ones are for
objects that a coarser level sees as a whole, at a quarter of the cost.
"""

_ROUNDS = 100

_log = logging.getLogger(__name__)


def fit_anchors(model: Detector, truth: CocoDocument) -> Detector:
    """The settings with numbers for ``anchor_sizes``, if they are ``auto``.

    Args:
        model: The settings of the network.
        truth: The train split; without boxes, the default sizes are used.
    """
    if model.anchor_sizes != "auto":
        return model
    sides = box_sides(truth, model.image_size)
    if len(sides):
        sizes = fitted_sizes(sides, (*PYRAMID_STRIDES, 2 * PYRAMID_STRIDES[-1]))
        _log.info(
            "anchor sizes fitted to %d boxes of %.0f to %.0f input pixels: %s",
            *(len(sides), *np.quantile(sides, (0.01, 0.99)).tolist(), ", ".join(map(str, sizes))),
        )
    else:
        sizes = type(model).model_fields["anchor_sizes"].default
        _log.info("no boxes to fit anchor sizes to; using %s", ", ".join(map(str, sizes)))
    return model.model_copy(update={"anchor_sizes": sizes})


def box_sides(truth: CocoDocument, image_size: int) -> npt.NDArray[np.float64]:
    """The square roots of the areas of all boxes, in input pixels: float64 [N].

    Args:
        truth: One split.
        image_size: Longer side of an image in the input, pixels.
    """
    scales = {image["id"]: image_size / max(image["width"], image["height"]) for image in truth["images"]}
    sides = [
        scales[one["image_id"]] * (one["bbox"][2] * one["bbox"][3]) ** 0.5
        for one in truth["annotations"]
        if min(one["bbox"][2:]) > 0
    ]
    return np.array(sides, dtype=np.float64)


def fitted_sizes(sides: npt.NDArray[np.float64], strides: tuple[int, ...]) -> tuple[int, ...]:
    """One anchor size per level: the centers of k-means of the logarithms, within 3 to 16 strides of the level.

    Args:
        sides: Square roots of the areas of boxes, float [N], input pixels, positive.
        strides: Stride of each level, ascending, pixels.

    Example:
        >>> fitted_sizes(np.array([20.0, 24.0, 60.0, 200.0]), (4, 8, 16, 32))
        (22, 27, 60, 200)
    """
    logs = np.sort(np.log2(sides))
    lowest, highest = (np.log2(limit * np.array(strides, dtype=np.float64)) for limit in (_SMALLEST, _LARGEST))
    centers = np.quantile(logs, (np.arange(len(strides)) + 0.5) / len(strides)).clip(lowest, highest)
    for _ in range(_ROUNDS):
        # The boxes nearest to a center lie between the middles to its neighbors; centers ascend, because limits do.
        bounds = np.searchsorted(logs, (centers[1:] + centers[:-1]) / 2)
        parts = np.split(logs, bounds)
        moved = np.array([part.mean() if len(part) else center for part, center in zip(parts, centers, strict=True)])
        moved = moved.clip(lowest, highest)
        if np.array_equal(moved, centers):
            break
        centers = moved
    return tuple(int(size) for size in np.rint(2**centers))
