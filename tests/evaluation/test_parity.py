"""The predictions that training keeps of a model are compared with those of the loaded file."""

import dataclasses
import json

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from sightline.data.detections import Detections
from sightline.documents import DocumentError
from sightline.evaluation.parity import (
    REFERENCE_BYTES,
    REFERENCE_IMAGES,
    compare_predictions,
    parity,
    reference_predictions,
)

IMAGES = [
    {"id": n, "file_name": f"{n}.png", "width": 200, "height": 100, "sha256": "", "group": ""} for n in range(1, 9)
]


def detections(image_id, *, moved=0.0, masks=None):
    boxes = np.array([[10.0, 10, 50, 40], [60, 20, 120, 90]], np.float32) + np.float32(moved)
    return Detections(image_id, boxes, np.array([0.9, 0.4], np.float32), np.array([1, 2]), masks)


def compare(kept, found, images=IMAGES):
    return compare_predictions(reference_predictions(kept), found, images, "object_detection", 100)


def test_the_first_predictions_are_kept_exactly():
    found = [detections(n, moved=n / 7) for n in range(1, 9)]
    agreed = compare(found, found)
    assert agreed.images == REFERENCE_IMAGES
    assert (agreed.detections, agreed.unmatched, agreed.score, agreed.box) == (2 * REFERENCE_IMAGES, 0, 0.0, 0.0)
    assert agreed.holds


def test_a_moved_box_of_one_image_is_seen_in_pixels_of_the_input():
    found = [detections(n) for n in range(1, 9)]
    other = [detections(1, moved=1.0), *found[1:]]
    agreed = compare(found, other)
    assert not agreed.holds
    assert agreed.box == pytest.approx(0.5)  # one pixel of an image that is twice as large as the input
    assert parity({"box_AP": 0.5}, {"box_AP": 0.5}, agreed).startswith("other predictions than before")
    assert parity({"box_AP": 0.5}, {"box_AP": 0.4}, agreed).startswith("other predictions and metrics than before")


def test_a_lost_detection_is_seen():
    kept = [detections(1)]
    lost = [dataclasses.replace(kept[0], boxes_xyxy=kept[0].boxes_xyxy[1:], scores=kept[0].scores[1:],
                                category_ids=kept[0].category_ids[1:])]  # fmt: skip
    assert compare(kept, lost).unmatched == 1
    assert not compare(kept, lost).holds


def test_large_predictions_do_not_fill_the_checkpoints():
    noise = np.asfortranarray(np.random.default_rng(0).random((350, 500)) > 0.5).astype(np.uint8)
    encoded = coco_mask.encode(noise)
    mask = {"size": encoded["size"], "counts": encoded["counts"].decode()}
    found = [detections(n, masks=[mask, mask]) for n in range(1, 5)]
    text = reference_predictions(found)
    assert 1 <= len(json.loads(text)["images"]) < REFERENCE_IMAGES
    assert len(text) <= REFERENCE_BYTES
    huge = [dataclasses.replace(detections(1), masks=[mask, dict(mask, counts=mask["counts"] * 4)])]
    assert reference_predictions(huge) == ""


def test_nothing_is_said_where_nothing_can_be_compared():
    found = [detections(n) for n in range(1, 3)]
    assert reference_predictions([]) == ""
    assert compare_predictions("", found, IMAGES, "object_detection", 100) is None
    assert compare(found, []) is None
    assert compare([detections(7)], found) is None
    assert parity({}, {"box_AP": 0.5}) == ""
    with pytest.raises(DocumentError):
        compare_predictions('{"format": 2, "images": [{}]}', found, IMAGES, "object_detection", 100)
