"""Scenes that the metrics are tried on: labelled images and detections, made from plain boxes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from sightline.data.detections import Detections
from sightline.data.formats.coco import CocoAnnotation, CocoDocument, RunLengthEncoding

SIDE = 200
Box = tuple[float, float, float, float]


def rectangle(box: Box) -> list[float]:
    x, y, width, height = box
    return [x, y, x + width, y, x + width, y + height, x, y + height]


def encoded(polygons: Sequence[Sequence[float]], side: int = SIDE) -> RunLengthEncoding:
    merged = coco_mask.merge(coco_mask.frPyObjects([list(polygon) for polygon in polygons], side, side))
    return {"size": [side, side], "counts": merged["counts"].decode("ascii")}


def truth_of(images: Sequence[Sequence[tuple[int, Box]]], classes: Sequence[str]) -> CocoDocument:
    """One image an entry: ``(category id, (x, y, width, height))`` for each instance."""
    annotations: list[CocoAnnotation] = []
    for image_id, instances in enumerate(images, start=1):
        for category_id, box in instances:
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": category_id,
                    "bbox": list(box),
                    "area": box[2] * box[3],
                    "segmentation": [rectangle(box)],
                    "iscrowd": 0,
                }
            )
    return {
        "images": [
            {"id": id_, "file_name": f"{id_}.png", "width": SIDE, "height": SIDE, "sha256": "", "group": ""}
            for id_ in range(1, len(images) + 1)
        ],
        "annotations": annotations,
        "categories": [{"id": id_, "name": name} for id_, name in enumerate(classes, start=1)],
    }


def found_in(image_id: int, found: Sequence[tuple[int, float, Box]]) -> Detections:
    """``(category id, score, (x, y, width, height))`` for each detection, sorted by falling score."""
    rows = sorted(found, key=lambda row: -row[1])
    boxes = np.array([row[2] for row in rows], np.float32).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return Detections(
        image_id,
        boxes,
        np.array([row[1] for row in rows], np.float32),
        np.array([row[0] for row in rows], np.int64),
        [encoded([rectangle(row[2])]) for row in rows],
    )


@pytest.fixture
def make_truth() -> Callable[..., CocoDocument]:
    return truth_of


@pytest.fixture
def make_found() -> Callable[..., Detections]:
    return found_in
