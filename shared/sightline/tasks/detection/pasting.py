"""Pastes masks that were predicted in a box into the image, without torch."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sightline.data.formats.coco import RunLengthEncoding
from sightline.data.rasterizer import encode_mask

MASK_THRESHOLD = 0.5


def paste_mask(
    probabilities: npt.NDArray[np.float32], box_xyxy: npt.NDArray[np.float32], height: int, width: int
) -> RunLengthEncoding:
    """Encode a mask that was predicted in its box as a run-length encoding of the whole image.

    A pixel belongs to the mask if the probability, bilinearly interpolated at the center of the pixel, is at least one
    half.  The box is not rounded to whole pixels.  Masks are encoded one at a time, so that the bitmaps of an image are
    never in memory together.

    Args:
        probabilities: float32 [M, M], 0 to 1, on a grid of M rows and M columns over the box.
        box_xyxy: float32 [4], pixels.
        height: Height of the image in pixels.
        width: Width of the image in pixels.
    """
    mask = np.zeros((height, width), dtype=np.uint8, order="F")
    left, top = np.floor(box_xyxy[:2]).astype(int)
    right, bottom = np.minimum(np.ceil(box_xyxy[2:]).astype(int), (width, height))
    rows = _interpolation(top, bottom, box_xyxy[1], box_xyxy[3], len(probabilities))
    columns = _interpolation(left, right, box_xyxy[0], box_xyxy[2], len(probabilities))
    mask[top:bottom, left:right] = rows @ probabilities @ columns.T >= MASK_THRESHOLD
    return encode_mask(mask)


def _interpolation(first: int, stop: int, begin: float, end: float, cells: int) -> npt.NDArray[np.float32]:
    """Linear interpolation as a matrix float32 [stop - first, cells]; values outside the cells are zero."""
    centres = (np.arange(first, stop, dtype=np.float32) + 0.5 - begin) / (end - begin) * cells - 0.5
    weights: npt.NDArray[np.float32] = 1 - np.abs(centres[:, None] - np.arange(cells, dtype=np.float32))
    return weights.clip(min=0).astype(np.float32)
