"""Masks in the coordinates of the image, beside the boxes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from sightline.data.formats.coco import RunLengthEncoding
from sightline.data.rasterizer import encode_mask
from sightline.tasks.detection.predictor import DetectionPredictor

MASK_THRESHOLD = 0.5


class MaskPredictor(DetectionPredictor):
    """Mask R-CNN with everything needed to use it; it gives boxes and masks."""

    def _masks(
        self,
        found: dict[str, torch.Tensor],
        boxes_xyxy: npt.NDArray[np.float32],
        keep: npt.NDArray[np.intp],
        height: int,
        width: int,
    ) -> list[RunLengthEncoding]:
        masks = found["masks"][:, 0].cpu().numpy()
        return [paste_mask(masks[index], boxes_xyxy[index], height, width) for index in keep]


def paste_mask(
    probabilities: npt.NDArray[np.float32], box_xyxy: npt.NDArray[np.float32], height: int, width: int
) -> RunLengthEncoding:
    """A mask, predicted in its box, as a run-length encoding of the whole image.

    A pixel belongs to the mask where the probability, interpolated bilinearly at the pixel's centre, is at least one
    half.  The box keeps its fractions of pixels; masks are encoded one by one, so that an image never holds them all
    as bitmaps.

    Args:
        probabilities: float32 [M, M], 0 to 1; cell (i, j) stands for the j-th of M columns and the i-th of M rows of
            the box.
        box_xyxy: float32 [4], pixels.
        height: Of the image.
        width: Of the image.
    """
    mask = np.zeros((height, width), dtype=np.uint8, order="F")
    left, top = np.floor(box_xyxy[:2]).astype(int)
    right, bottom = np.minimum(np.ceil(box_xyxy[2:]).astype(int), (width, height))
    rows = _interpolation(top, bottom, box_xyxy[1], box_xyxy[3], len(probabilities))
    columns = _interpolation(left, right, box_xyxy[0], box_xyxy[2], len(probabilities))
    mask[top:bottom, left:right] = rows @ probabilities @ columns.T >= MASK_THRESHOLD
    return encode_mask(mask)


def _interpolation(first: int, stop: int, begin: float, end: float, cells: int) -> npt.NDArray[np.float32]:
    """Linear interpolation as a matrix float32 [stop - first, cells]; outside the box's cells lies zero."""
    centres = (np.arange(first, stop, dtype=np.float32) + 0.5 - begin) / (end - begin) * cells - 0.5
    weights: npt.NDArray[np.float32] = 1 - np.abs(centres[:, None] - np.arange(cells, dtype=np.float32))
    return weights.clip(min=0).astype(np.float32)
