"""Draws the objects of a training sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from sightline.data.formats.coco import CocoAnnotation, Segmentation
from sightline.report.drawing.draw import draw_truth


def draw_objects(
    image: Image.Image,
    labels: npt.NDArray[np.int64],
    boxes_xyxy: npt.NDArray[np.floating[Any]],
    outlines: Sequence[Segmentation],
    class_names: Sequence[str],
) -> Image.Image:
    """An image with its objects, drawn as on all pages.

    Args:
        image: RGB.
        labels: int64 [N], from 1 in the order of the classes.
        boxes_xyxy: float [N, 4], pixels of the image.
        outlines: N outlines in pixels of the image.
        class_names: The classes.
    """
    annotations: list[CocoAnnotation] = [
        {
            "id": number,
            "image_id": 1,
            "category_id": int(label),
            "bbox": [left, top, right - left, bottom - top],
            "area": 1.0,
            "segmentation": outline,
            "iscrowd": 0,
        }
        for number, (label, (left, top, right, bottom), outline) in enumerate(
            zip(labels, boxes_xyxy.tolist(), outlines, strict=True), start=1
        )
    ]
    return draw_truth(image, annotations, dict(enumerate(class_names, start=1)))
