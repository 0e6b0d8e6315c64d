"""From the output of a detector to detections in pixels of the image, in NumPy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sightline.data.detections import Detections
from sightline.data.loading.transforms import Placement
from sightline.models.export_header import ExportHeader
from sightline.tasks.detection.pasting import paste_mask


def detections_of_export(
    found: Mapping[str, npt.NDArray[Any]],
    placement: Placement,
    image_size: tuple[int, int],
    header: ExportHeader,
    image_id: int = 0,
) -> Detections:
    """The detections of one image from the outputs of an exported model with this header; see :func:`detections_of`."""
    return detections_of(found, placement, image_size, header.category_ids, image_id)


def detections_of(
    found: Mapping[str, npt.NDArray[Any]],
    placement: Placement,
    image_size: tuple[int, int],
    category_ids: Sequence[int],
    image_id: int = 0,
) -> Detections:
    """The detections of one image.

    Args:
        found: ``boxes`` float32 [N, 4] xyxy in input pixels, ``scores`` float32 [N] descending, ``labels`` int64 [N],
            where 0 is the background, and optionally ``masks`` float32 [N, M, M], probabilities in the box.  Entries
            with a score of 0 are left out.
        placement: Position of the image in the input.
        image_size: Width and height of the image, pixels.
        category_ids: COCO category id of each label from 1.
        image_id: COCO id of the image.
    """
    width, height = image_size
    scale = np.array([placement.scale_x, placement.scale_y] * 2, dtype=np.float32)
    limit = np.array([width, height] * 2, dtype=np.float32)
    boxes = np.asarray(found["boxes"] / scale, dtype=np.float32).clip(0, limit)
    scores, labels = found["scores"], found["labels"]
    keep = np.flatnonzero((boxes[:, 2:] > boxes[:, :2]).all(axis=1) & (labels > 0) & (scores > 0))
    masks = found.get("masks")
    return Detections(
        image_id=image_id,
        boxes_xyxy=boxes[keep],
        scores=scores[keep],
        category_ids=np.array((0, *category_ids), dtype=np.int64)[labels[keep]],
        masks=None if masks is None else [paste_mask(masks[index], boxes[index], height, width) for index in keep],
    )
