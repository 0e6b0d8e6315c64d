"""dv_mAP: its bound by pycocotools' box AP, its matching, its outlines."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from sightline.data.detections import Detections
from sightline.metrics.divided import average_precision, evaluate_divided, slice_boxes, slice_ious
from sightline.metrics.outlines import outlines

SIDE = 64
TRIANGLE = [(0, 0), (1, 0), (0, 1)]
SQUARE = [(0, 0), (1, 0), (1, 1), (0, 1)]
DIAMOND = [(0.5, 0), (1, 0.5), (0.5, 1), (0, 0.5)]


def polygon(shape, box):
    x, y, width, height = box
    return [float(number) for u, v in shape for number in (x + u * width, y + v * height)]


def mask_of(shape, box, side=SIDE):
    [mask] = coco_mask.frPyObjects([polygon(shape, box)], side, side)
    return mask


def scene(truths, found):
    """One image an entry of each: ``(category, shape, box)`` and ``(category, score, shape, box)``."""
    images = [
        {"id": id_, "file_name": f"{id_}", "width": SIDE, "height": SIDE, "sha256": "", "group": ""}
        for id_ in range(1, len(truths) + 1)
    ]
    flat = [(id_, *truth) for id_, of_image in enumerate(truths, 1) for truth in of_image]
    annotations = [
        {
            "id": id_,
            "image_id": image_id,
            "category_id": category,
            "bbox": list(box),
            "area": float(box[2] * box[3]),
            "segmentation": [polygon(shape, box)],
            "iscrowd": 0,
        }
        for id_, (image_id, category, shape, box) in enumerate(flat, 1)
    ]
    detections = []
    for image_id, of_image in enumerate(found, 1):
        rows = sorted(of_image, key=lambda row: -row[1])
        boxes = np.array([row[3] for row in rows], np.float32).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        scores = np.array([row[1] for row in rows], np.float32)
        categories = np.array([row[0] for row in rows], np.int64)
        detections.append(
            Detections(image_id, boxes, scores, categories, [mask_of(shape, box) for _, _, shape, box in rows])
        )
    categories = [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]
    return {"images": images, "annotations": annotations, "categories": categories}, detections


def box_ap60(truth, detections):
    """AP at box IoU 0.6 by pycocotools, a class name each."""
    results = [
        {
            "id": 0,
            "image_id": found.image_id,
            "category_id": int(category),
            "score": float(score),
            "bbox": [float(x1), float(y1), float(x2) - float(x1), float(y2) - float(y1)],
            "area": 1.0,
            "iscrowd": 0,
        }
        for found in detections
        for (x1, y1, x2, y2), score, category in zip(found.boxes_xyxy, found.scores, found.category_ids, strict=True)
    ]
    for id_, result in enumerate(results, 1):
        result["id"] = id_
    with contextlib.redirect_stdout(io.StringIO()):
        truths, found = COCO(), COCO()
        truths.dataset = {**truth, "annotations": [dict(annotation) for annotation in truth["annotations"]]}
        truths.createIndex()
        found.dataset = {**truth, "annotations": results}
        found.createIndex()
        evaluator = COCOeval(truths, found, "bbox")
        evaluator.params.iouThrs = np.array([0.6])
        evaluator.evaluate()
        evaluator.accumulate()
    precision = evaluator.eval["precision"][0, :, :, 0, 2]
    return {name: precision[:, index].mean() for index, name in enumerate("ab") if precision[0, index] > -1}


numbers = st.integers(0, 6)
boxes = st.tuples(numbers, numbers, st.integers(12, 40), st.integers(12, 40))
shapes = st.sampled_from([TRIANGLE, SQUARE, DIAMOND])
truths = st.lists(st.lists(st.tuples(st.integers(1, 2), shapes, boxes), max_size=4), min_size=1, max_size=3)


@st.composite
def scenes(draw):
    """Truths that overlap much, and detections that are truths, moved a little, often in another shape."""
    images = draw(truths)
    found = []
    for instances in images:
        rows = []
        for category, shape, box in instances:
            for _ in range(draw(st.integers(0, 3))):
                moved = tuple(number + draw(st.integers(0, 4)) for number in box)
                rows.append((category, draw(st.integers(1, 99)) / 100, draw(st.sampled_from([shape, SQUARE])), moved))
        found.append(rows)
    return scene(images, found)


@settings(max_examples=150)
@given(scenes())
def test_never_more_than_box_ap_at_the_same_iou(labelled):
    truth, detections = labelled

    scores = evaluate_divided(truth, detections)

    assert scores.box_per_class == pytest.approx(box_ap60(truth, detections), abs=1e-9)
    for name, value in scores.per_class.items():
        assert 0.0 <= value <= scores.box_per_class[name] + 1e-12


@settings(max_examples=50)
@given(scenes())
def test_order_of_images_changes_nothing(labelled):
    truth, detections = labelled
    assert evaluate_divided({**truth, "images": truth["images"][::-1]}, detections[::-1]) == evaluate_divided(
        truth, detections
    )


@settings(max_examples=50)
@given(truths)
def test_what_is_drawn_exactly_is_exactly_right(images):
    # One instance of a class an image: of two equal ones either could be taken.
    images = [list({category: (category, shape, box) for category, shape, box in image}.values()) for image in images]
    truth, detections = scene(images, [[(c, 0.9, shape, box) for c, shape, box in image] for image in images])

    scores = evaluate_divided(truth, detections)

    assert all(value == pytest.approx(1.0) for value in scores.per_class.values())


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 99), st.booleans()), max_size=30), st.integers(1, 5))
def test_average_precision_grows_with_every_true_detection(rows, missing):
    scores = np.array([score / 100 for score, _ in rows])
    is_true = np.array([true for _, true in rows], bool)
    instances = int(is_true.sum()) + missing
    value = average_precision(scores, is_true, instances)

    assert 0.0 <= value <= is_true.sum() / instances + 0.01
    for index in np.flatnonzero(is_true):
        fewer = is_true.copy()
        fewer[index] = False
        assert average_precision(scores, fewer, instances) <= value + 1e-12


def test_right_box_wrong_outline_is_false():
    truth, found = scene([[(1, TRIANGLE, (10, 10, 30, 30))]], [[(1, 0.9, SQUARE, (10, 10, 30, 30))]])

    scores = evaluate_divided(truth, found)

    assert scores.box_per_class == {"a": pytest.approx(1.0)}
    assert scores.values == {"dv_mAP": 0.0}


def test_double_detections_do_not_raise_recall():
    box = (10, 10, 30, 30)
    other = (2, 40, 20, 20)
    truth, found = scene([[(1, SQUARE, box), (1, SQUARE, other)]], [[(1, score, SQUARE, box) for score in (0.9, 0.8)]])

    assert evaluate_divided(truth, found).values["dv_mAP"] == pytest.approx(51 / 101)


def test_a_truth_stays_open_when_its_first_finder_has_the_wrong_outline():
    box = (10, 10, 30, 30)
    truth, found = scene([[(1, TRIANGLE, box)]], [[(1, 0.9, SQUARE, box), (1, 0.8, TRIANGLE, box)]])

    assert evaluate_divided(truth, found).values["dv_mAP"] == pytest.approx(0.5)


def test_a_truth_that_no_box_has_found_yet_cannot_be_taken():
    # Both truths fit the box of the first detection, the nearer one does not fit its outline; taking the farther one
    # would let the second detection make two true ones where COCO's greedy matching makes one.
    near, far = (10, 10, 30, 30), (10, 17, 30, 30)
    truth, found = scene(
        [[(1, TRIANGLE, near), (1, SQUARE, far)]],
        [[(1, 0.9, SQUARE, near), (1, 0.8, TRIANGLE, (10, 9, 30, 30))]],
    )

    scores = evaluate_divided(truth, found)

    assert scores.box_per_class["a"] == pytest.approx(51 / 101)
    assert scores.per_class["a"] == pytest.approx(51 / 101 / 2)


def test_classes_without_truth_are_left_out_and_no_truth_gives_no_value():
    truth, found = scene([[]], [[(1, 0.9, SQUARE, (10, 10, 30, 30))]])

    assert evaluate_divided(truth, found).values == {}
    truth, _ = scene([[(1, SQUARE, (10, 10, 30, 30))]], [])
    assert evaluate_divided(truth, []).per_class == {"a": 0.0}


def test_a_truth_as_mask_counts_like_its_polygon():
    truth, found = scene([[(1, DIAMOND, (10, 10, 30, 30))]], [[(1, 0.9, DIAMOND, (11, 10, 30, 30))]])
    as_mask = {**truth["annotations"][0], "segmentation": mask_of(DIAMOND, (10, 10, 30, 30))}

    assert evaluate_divided({**truth, "annotations": [as_mask]}, found) == evaluate_divided(truth, found)


def test_a_mask_without_pixels_is_false_and_no_crash():
    truth, [found] = scene([[(1, SQUARE, (10, 10, 30, 30))]], [[(1, 0.9, SQUARE, (10, 10, 30, 30))]])
    empty = coco_mask.encode(np.zeros((SIDE, SIDE), np.uint8, order="F"))
    nothing = Detections(1, found.boxes_xyxy, found.scores, found.category_ids, [empty])

    assert np.isnan(outlines([empty])[0]).all()
    assert evaluate_divided(truth, [nothing]).values == {"dv_mAP": 0.0}


def test_outline_points_lie_on_the_border_at_equal_distances():
    [points], [distance] = outlines([mask_of(SQUARE, (10, 20, 30, 30))])

    assert points.shape == (30, 2)
    assert distance == pytest.approx(120 / 30, rel=0.03)  # corners are cut
    on_edge = np.isclose(points, (10, 20)) | np.isclose(points, (40, 50))
    assert on_edge.any(axis=1).sum() >= 26
    np.testing.assert_array_equal(points.min(axis=0).round(), (10, 20))
    np.testing.assert_array_equal(points.max(axis=0).round(), (40, 50))


def test_holes_belong_to_the_outline():
    ring = np.zeros((SIDE, SIDE), np.uint8, order="F")
    ring[10:40, 10:40] = 1
    filled = coco_mask.encode(ring)
    ring[18:32, 18:32] = 0

    [with_hole, without] = slice_boxes([coco_mask.encode(ring), filled])

    assert slice_ious(with_hole, without).min() < 0.95
    assert slice_ious(without, without).tolist() == [1.0] * 6


@pytest.mark.parametrize("box", [(4, 4, 3, 50), (4, 4, 50, 2), (4, 4, 1, 1)])  # thin, flat, one pixel
def test_slices_of_straight_edges_have_an_area(box):
    [slices] = slice_boxes([mask_of(SQUARE, box)])

    assert np.all(slices[:, 2:] - slices[:, :2] >= 1.0)


def test_what_fits_fits_at_any_magnification():
    small = slice_ious(*slice_boxes([mask_of(shape, (4, 4, 40, 20)) for shape in (DIAMOND, SQUARE)]))
    large = slice_ious(*slice_boxes([mask_of(shape, (40, 40, 400, 200), 640) for shape in (DIAMOND, SQUARE)]))

    np.testing.assert_allclose(small, large, atol=0.08)
