import hashlib

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from sightline.data.detections import Detections
from sightline.errors import DataError
from sightline.report.drawing.draw import class_colour, draw_detections, draw_truth
from tests.golden import raises

GREY = (128, 128, 128)


def ellipse_mask(height, width, box):
    """A filled ellipse in the box as a run-length encoding."""
    left, top, right, bottom = box
    y, x = np.mgrid[0:height, 0:width] + 0.5
    inside = ((x - (left + right) / 2) / (right - left) * 2) ** 2 + ((y - (top + bottom) / 2) / (bottom - top) * 2) ** 2
    encoding = coco_mask.encode(np.asfortranarray((inside <= 1).astype(np.uint8)))
    return {"size": list(encoding["size"]), "counts": encoding["counts"].decode("ascii")}


def one_detection(size, box, score=0.97, category_id=1):
    mask = ellipse_mask(size[1], size[0], box)
    return Detections(
        1, np.array([box], np.float32), np.array([score], np.float32), np.array([category_id], np.int64), [mask]
    )


def test_a_small_image_is_drawn_twice_as_large_and_a_large_one_is_not():
    truth = []
    assert draw_truth(Image.new("RGB", (384, 288)), truth, {}).size == (768, 576)
    assert draw_truth(Image.new("RGB", (640, 200)), truth, {}).size == (640, 200)


def test_the_image_given_is_not_changed():
    image = Image.new("RGB", (700, 500), GREY)
    draw_detections(image, one_detection(image.size, (100, 100, 300, 300)), {1: "disc"})
    assert image.getcolors() == [(700 * 500, GREY)]


@pytest.mark.parametrize("size", [(320, 240), (800, 600)])
def test_the_mask_tints_what_it_covers_and_nothing_else(size):
    image = Image.new("RGB", size, GREY)
    box = (100.0, 80.0, 200.0, 180.0)
    drawn = draw_detections(image, one_detection(size, box), {1: "disc"})
    scale = drawn.width // size[0]
    inside = np.array(drawn.getpixel((150 * scale, 130 * scale)), float)
    corner = drawn.getpixel((106 * scale, 174 * scale))  # in the box, not in the ellipse
    toward = np.array(class_colour(1), float) - GREY
    share = (inside - GREY) @ toward / (toward @ toward)
    assert share == pytest.approx(60 / 255, abs=0.02)
    assert corner == GREY


def test_the_rim_of_a_mask_is_stronger_than_its_inside():
    image = Image.new("RGB", (800, 600), GREY)
    drawn = draw_detections(image, one_detection(image.size, (100, 80, 300, 280)), {1: "disc"})
    row = np.asarray(drawn)[180, 100:300].astype(int)
    distance = np.abs(row - GREY).sum(axis=1)
    assert distance[0] > 2 * distance[100]


def test_the_label_stands_outside_of_its_box():
    image = Image.new("RGB", (800, 600), GREY)
    box = (300, 300, 400, 400)
    detections = one_detection(image.size, box)
    empty_mask = coco_mask.encode(np.zeros((600, 800), np.uint8, order="F"))
    detections = Detections(1, detections.boxes_xyxy, detections.scores, detections.category_ids, [empty_mask])
    changed = (np.asarray(draw_detections(image, detections, {1: "disc"})) != GREY).any(axis=2)
    inside = changed[302:398, 302:398]
    assert not inside.any()
    above_and_below = changed[:299].sum() + changed[401:].sum()
    assert above_and_below > 300


def test_the_label_gives_name_and_percent():
    """The same box with another name or another score gives another label."""
    image = Image.new("RGB", (400, 300), GREY)
    label = [
        np.asarray(draw_detections(image, one_detection(image.size, (100, 100, 200, 200), score), {1: name}))
        for name, score in (("seven", 0.97), ("eight", 0.97), ("seven", 0.35), ("seven", 0.9701))
    ]
    assert (label[0] != label[1]).any()
    assert (label[0] != label[2]).any()
    assert (label[0] == label[3]).all()


def test_twenty_classes_have_twenty_colours():
    colours = np.array([class_colour(category_id) for category_id in range(1, 22)], float)
    distances = np.abs(colours[:, None] - colours[None]).sum(axis=2) + 999 * np.eye(21)
    assert distances.min() > 24


def test_truth_with_polygons_is_filled():
    image = Image.new("RGB", (700, 500), GREY)
    annotation = {
        "id": 1,
        "image_id": 1,
        "category_id": 2,
        "bbox": [100.0, 100.0, 200.0, 100.0],
        "area": 20000.0,
        "segmentation": [[100.0, 100.0, 300.0, 100.0, 300.0, 200.0, 100.0, 200.0]],
        "iscrowd": 0,
    }
    drawn = draw_truth(image, [annotation], {2: "board"})
    assert drawn.getpixel((200, 150)) != GREY
    assert drawn.getpixel((350, 350)) == GREY


def test_an_annotation_without_an_outline_still_has_its_box():
    image = Image.new("RGB", (700, 500), GREY)
    annotation = {
        "id": 1, "image_id": 1, "category_id": 2, "bbox": [100, 100, 50, 50], "area": 1.0, "segmentation": [[1, 2]],
        "iscrowd": 0,
    }  # fmt: skip
    drawn = draw_truth(image, [annotation], {2: "board"})
    assert drawn.getpixel((100, 120)) == class_colour(2)
    assert drawn.getpixel((125, 125)) == GREY


def test_a_label_that_had_to_move_away_is_tied_to_its_box():
    """A small box with others on all its sides: the tie to its label crosses the box above or below."""
    image = Image.new("RGB", (800, 600), GREY)
    boxes = [
        (300, 300, 330, 330),
        (150, 259, 550, 299),
        (150, 331, 550, 371),
        (90, 290, 299, 340),
        (331, 290, 610, 340),
    ]
    empty = coco_mask.encode(np.zeros((600, 800), np.uint8, order="F"))
    ids = np.arange(1, 6, dtype=np.int64)
    detections = Detections(1, np.array(boxes, np.float32), np.ones(5, np.float32), ids, [empty] * 5)
    drawn = np.asarray(draw_detections(image, detections, dict.fromkeys(range(1, 6), "a long name")))
    mine = (drawn == class_colour(1)).all(axis=2)
    crossing = [mine[262:286, 152:548].sum(), mine[343:368, 152:548].sum()]
    assert min(crossing) == 0
    assert 20 <= max(crossing) <= 50


def test_equal_input_gives_equal_pixels():
    image = Image.new("RGB", (384, 288), GREY)
    digests = {
        hashlib.sha256(draw_detections(image, one_detection(image.size, (9, 9, 99, 99)), {1: "x"}).tobytes()).digest()
        for _ in range(2)
    }
    assert len(digests) == 1


def test_no_detections_leave_the_image_as_it_is():
    nothing = Detections(1, np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64), [])
    assert draw_detections(Image.new("L", (700, 500), 9), nothing, {}).getcolors() == [(350_000, (9, 9, 9))]


def test_a_class_without_a_name_is_an_error():
    image = Image.new("RGB", (300, 300))
    with raises(DataError):
        draw_detections(image, one_detection(image.size, (1, 1, 9, 9), category_id=4), {1: "a", 2: "b"})


def test_a_mask_of_another_image_is_an_error():
    detections = one_detection((200, 300), (10, 10, 50, 50))
    with raises(DataError, "300", "200"):
        draw_detections(Image.new("RGB", (300, 200)), detections, {1: "a"})
