"""From the output of a network or an exported graph to detections with keypoints, in NumPy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sightline.data.keypoint_detections import KeypointDetections
from sightline.data.loading.transforms import Placement
from sightline.models.export_header import ExportHeader


def detections_of(
    found: Mapping[str, npt.NDArray[Any]],
    placement: Placement,
    image_size: tuple[int, int],
    category_ids: Sequence[int],
    image_id: int = 0,
) -> KeypointDetections:
    """The detections of one image; keypoints beyond the border of the image are moved to it.

    Args:
        found: ``boxes`` float32 [N, 4] xyxy in input pixels, ``scores`` float32 [N] descending, ``labels`` int64 [N],
            where 0 is the background, and ``keypoints`` float32 [N, K, 3]: x and y in input pixels, and score.
            Entries with a score of 0 are left out.
        placement: Position of the image in the input.
        image_size: Width and height of the image, pixels.
        category_ids: COCO category id of each label from 1.
        image_id: COCO id of the image.
    """
    scale = np.array([placement.scale_x, placement.scale_y], dtype=np.float32)
    limit = np.array(image_size, dtype=np.float32)
    boxes = np.asarray(found["boxes"] / np.tile(scale, 2), dtype=np.float32).clip(0, np.tile(limit, 2))
    scores, labels = found["scores"], found["labels"]
    keep = np.flatnonzero((boxes[:, 2:] > boxes[:, :2]).all(axis=1) & (labels > 0) & (scores > 0))
    places = np.asarray(found["keypoints"][keep, :, :2] / scale, dtype=np.float32).clip(0, limit)
    return KeypointDetections(
        image_id=image_id,
        boxes_xyxy=boxes[keep],
        scores=scores[keep],
        category_ids=np.array((0, *category_ids), dtype=np.int64)[labels[keep]],
        keypoints=np.concatenate([places, found["keypoints"][keep, :, 2:]], axis=2),
    )


def detections_of_export(
    found: Mapping[str, npt.NDArray[Any]],
    placement: Placement,
    image_size: tuple[int, int],
    header: ExportHeader,
    image_id: int = 0,
) -> KeypointDetections:
    """The detections of one image from the outputs of an exported model with this header; see :func:`detections_of`."""
    return detections_of(found, placement, image_size, header.category_ids, image_id)


POSTPROCESSING = detections_of_export
