"""dv_mAP against a second implementation: one loop over images, one mask and one pair at a time."""

from __future__ import annotations

import numpy as np
import pytest
from contourpy import contour_generator
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from sightline.data.detections import Detections
from sightline.metrics import outlines as outlines_module
from sightline.metrics.divided import evaluate_divided
from sightline.metrics.outlines import outlines
from sightline.metrics.run_lengths import column_runs
from tests.metrics.test_metrics_divided import SIDE, SQUARE, TRIANGLE, scene, scenes


def border(mask):
    """30 points on the border of a decoded mask, by walking along the lines of contourpy; None for an empty mask."""
    image = np.pad(coco_mask.decode(mask).astype(float), 1)
    pieces = [
        (one, other)
        for line in contour_generator(z=image).lines(0.5)
        for one, other in zip(line[:-1] - 0.5, line[1:] - 0.5, strict=True)
    ]
    if not pieces:
        return None
    lengths = [float(np.hypot(*(other - one))) for one, other in pieces]
    apart = sum(lengths) / 30
    points, walked, index = [], 0.0, 0
    for number in range(30):
        position = (number + 0.5) * apart
        while walked + lengths[index] <= position:
            walked += lengths[index]
            index += 1
        one, other = pieces[index]
        points.append(one + (other - one) * ((position - walked) / lengths[index]))
    return np.array(points), apart


def six_boxes(mask):
    walked = border(mask)
    if walked is None:
        return None
    points, apart = walked
    boxes = []
    for first, second in ((0, 1), (1, 0)):
        ranked = sorted(points.tolist(), key=lambda point: (round(point[first], 6), round(point[second], 6)))
        for begin in (0, 10, 20):
            group = np.array(ranked[begin : begin + 10])
            boxes.append([*(group.min(0) - max(apart, 1) / 2), *(group.max(0) + max(apart, 1) / 2)])
    return boxes


def iou(one, other):
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return width * height / (sum(areas) - width * height)


def average(rows, instances):
    """101-point average precision of ``(score, true)``."""
    rows = sorted(rows, key=lambda row: -row[0])
    true, curve = 0, []
    for rank, (_, right) in enumerate(rows, 1):
        true += right
        curve.append((true / instances, true / rank))
    levels = np.linspace(0, 1, 101)
    return (
        sum(max((precision for recall, precision in curve if recall >= level), default=0.0) for level in levels) / 101
    )


def oracle(truth, detections):
    """dv_AP by class, as the docstring of the module defines it."""
    values = {}
    for category in truth["categories"]:
        of_class = [one for one in truth["annotations"] if one["category_id"] == category["id"]]
        rows = []
        for found in sorted(detections, key=lambda found: found.image_id):
            true = [one for one in of_class if one["image_id"] == found.image_id]
            boxes = [(x, y, x + width, y + height) for x, y, width, height in (one["bbox"] for one in true)]
            masks = [coco_mask.frPyObjects(one["segmentation"], SIDE, SIDE)[0] for one in true]
            seen, matched = set(), set()
            mine = [index for index in range(len(found)) if found.category_ids[index] == category["id"]]
            for index in sorted(mine, key=lambda index: -found.scores[index])[:100]:
                overlap = [iou(found.boxes_xyxy[index].astype(float), box) for box in boxes]
                near = sorted((k for k in range(len(true)) if overlap[k] >= 0.6), key=lambda k: (-overlap[k], -k))
                seen |= set([k for k in near if k not in seen][:1])
                slices = six_boxes(found.masks[index])
                right = [
                    k
                    for k in near
                    if k in seen - matched
                    and slices
                    and all(iou(a, b) >= 0.6 for a, b in zip(slices, six_boxes(masks[k]), strict=True))
                ]
                matched |= set(right[:1])
                rows.append((float(found.scores[index]), bool(right)))
        if of_class:
            values[category["name"]] = average(rows, len(of_class))
    return values


@settings(max_examples=60, deadline=None)
@given(scenes())
def test_equals_the_loop(labelled):
    truth, detections = labelled

    scores = evaluate_divided(truth, detections)

    assert scores.per_class == pytest.approx(oracle(truth, detections), abs=1e-12)
    if scores.per_class:
        assert scores.values["dv_mAP"] == pytest.approx(np.mean(list(scores.per_class.values())), abs=1e-12)


def random_masks(seed, count):
    """Noise, discs with holes, empty, full and one-pixel masks, of many sizes."""
    random = np.random.default_rng(seed)
    for number in range(count):
        height, width = (int(side) for side in random.integers(1, 50, 2))
        rows, columns = np.mgrid[:height, :width]
        away = (rows - height / 2) ** 2 + (columns - width / 2) ** 2
        kinds = (
            random.random((height, width)) < random.choice([0, 0.1, 0.5, 0.9, 1]),
            away < random.uniform(1, 600),
            (away < random.uniform(1, 600)) & (away > 20),
            (rows == height // 2) & (columns == width // 2),
            np.abs(rows - columns) < random.integers(1, 4),
        )
        yield np.asfortranarray(kinds[number % len(kinds)].astype(np.uint8))


@pytest.mark.parametrize("pixels", [1 << 24, 3000])  # one batch, and many
def test_every_outline_is_that_of_contourpy(monkeypatch, pixels):
    monkeypatch.setattr(outlines_module, "_PIXELS", pixels)
    masks = [coco_mask.encode(mask) for mask in random_masks(0, 300)]

    points, distances = outlines(masks)

    for mask, of_mask, distance in zip(masks, points, distances, strict=True):
        walked = border(mask)
        if walked is None:
            assert np.isnan(distance)
            assert np.isnan(of_mask).all()
        else:
            np.testing.assert_allclose(of_mask, walked[0], atol=1e-9)
            assert distance == pytest.approx(walked[1], abs=1e-9)


def test_column_runs_are_the_pixels():
    drawn = list(random_masks(1, 300))
    texts = [coco_mask.encode(mask) for mask in drawn]
    texts[1::2] = [{**text, "counts": text["counts"].decode("ascii")} for text in texts[1::2]]

    runs = column_runs(texts)

    for number, mask in enumerate(drawn):
        again = np.zeros_like(mask)
        mine = runs.masks == number
        for x, top, bottom in zip(runs.x[mine], runs.top[mine], runs.bottom[mine], strict=True):
            assert not again[top:bottom, x].any()
            again[top:bottom, x] = 1
        np.testing.assert_array_equal(again, mask)
    assert len(column_runs([]).x) == 0


def polygons_changed(truth, change):
    """The truth with each polygon, [K, 2], changed."""
    annotations = [
        {
            **one,
            "segmentation": [change(np.array(part).reshape(-1, 2)).ravel().tolist() for part in one["segmentation"]],
        }
        for one in truth["annotations"]
    ]
    return {**truth, "annotations": annotations}


@settings(max_examples=50)
@given(scenes(), st.integers(0, 3), st.booleans())
def test_where_an_outline_starts_and_its_direction_change_nothing(labelled, start, backwards):
    truth, detections = labelled
    turned = polygons_changed(truth, lambda points: np.roll(points, start, axis=0)[:: -1 if backwards else 1])

    assert evaluate_divided(turned, detections) == evaluate_divided(truth, detections)


def shifted(truth, detections, right, down):
    size = {"width": SIDE + right, "height": SIDE + down}
    moved = polygons_changed(truth, lambda points: points + np.array([right, down]))
    for one in moved["annotations"]:
        x, y, width, height = one["bbox"]
        one["bbox"] = [x + right, y + down, width, height]
    moved["images"] = [{**image, **size} for image in truth["images"]]
    found = []
    for of_image in detections:
        masks = [np.pad(coco_mask.decode(mask), ((down, 0), (right, 0))) for mask in of_image.masks]
        boxes = of_image.boxes_xyxy + np.array([right, down] * 2, np.float32)
        encoded = [coco_mask.encode(np.asfortranarray(mask)) for mask in masks]
        found.append(Detections(of_image.image_id, boxes, of_image.scores, of_image.category_ids, encoded))
    return moved, found


@settings(max_examples=50)
@given(scenes(), st.integers(0, 40), st.integers(0, 40))
def test_a_shift_changes_nothing(labelled, right, down):
    assert evaluate_divided(*shifted(*labelled, right, down)) == evaluate_divided(*labelled)


@settings(max_examples=50)
@given(scenes(), st.randoms(use_true_random=False))
def test_the_order_of_detections_changes_nothing(labelled, random):
    truth, detections = labelled
    shuffled, distinct = [], []
    for number, found in enumerate(detections):
        scores = ((found.scores * 100).round() + np.arange(len(found)) / 100 + number / 10_000) / 200
        ordered = Detections(
            found.image_id, found.boxes_xyxy, scores.astype(np.float32), found.category_ids, found.masks
        )
        distinct.append(ordered)
        shuffled.append(ordered.chosen(np.array(random.sample(range(len(found)), len(found)), np.intp)))

    assert evaluate_divided(truth, shuffled) == evaluate_divided(truth, distinct)


def copied(truth, detections, times):
    """Each image and its detections as often as ``times`` says."""
    images, annotations, found = [], [], []
    by_id = {one.image_id: one for one in detections}
    for image, count in zip(truth["images"], times, strict=True):
        for _ in range(count):
            id_ = len(images) + 1
            images.append({**image, "id": id_})
            for one in truth["annotations"]:
                if one["image_id"] == image["id"]:
                    annotations.append({**one, "id": len(annotations) + 1, "image_id": id_})
            one = by_id[image["id"]]
            found.append(Detections(id_, one.boxes_xyxy, one.scores, one.category_ids, one.masks))
    return {**truth, "images": images, "annotations": annotations}, found


@settings(max_examples=60)
@given(scenes(), st.lists(st.integers(0, 3), min_size=3, max_size=3))
def test_a_weight_counts_like_copies_of_an_image(labelled, times):
    truth, detections = labelled
    # Distinct scores: the order of equal scores in different images depends on the order of the images.
    for number, found in enumerate(detections):
        found.scores[:] = found.scores * 0.9 + (np.arange(len(found))[::-1] + 100 * number) / 10_000
    detections = [found.chosen(np.argsort(-found.scores)) for found in detections]
    times = times[: len(truth["images"])]
    scores = evaluate_divided(truth, detections)
    expected = evaluate_divided(*copied(truth, detections, times))
    ones, weights = np.ones((1, len(times))), np.array([times], float)

    assert set(scores.statistics) == set(scores.values)
    assert set(scores.class_statistics) == set(scores.per_class)
    for name, statistic in scores.statistics.items():
        assert statistic.values(ones)[0] == pytest.approx(scores.values[name], abs=1e-12)
        assert statistic.values(weights)[0] == pytest.approx(expected.values.get(name, np.nan), abs=1e-12, nan_ok=True)
    for name, statistic in scores.class_statistics.items():
        assert statistic.values(ones)[0] == pytest.approx(scores.per_class[name], abs=1e-12)
        value = expected.per_class.get(name, np.nan)
        assert statistic.values(weights)[0] == pytest.approx(value, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize(("first", "last", "value"), [(TRIANGLE, SQUARE, 51 / 101), (SQUARE, TRIANGLE, 0.0)])
def test_of_two_true_objects_with_equal_iou_the_last_is_taken(first, last, value):
    truths = [(1, first, (10, 10, 30, 30)), (1, last, (14, 10, 30, 30))]
    truth, found = scene([truths], [[(1, 0.9, SQUARE, (12, 10, 30, 30))]])

    assert evaluate_divided(truth, found).per_class == {"a": pytest.approx(value)}
    assert oracle(truth, found) == {"a": pytest.approx(value)}


def test_only_the_hundred_best_detections_of_a_class_count():
    box = (10, 10, 30, 30)
    wrong = [(1, 0.9 - number / 1000, TRIANGLE, (0, 0, 8, 8)) for number in range(100)]
    truth, found = scene(
        [[(1, SQUARE, box), (2, SQUARE, box)]], [[*wrong, (1, 0.1, SQUARE, box), (2, 0.1, SQUARE, box)]]
    )

    assert evaluate_divided(truth, found).per_class == {"a": 0.0, "b": pytest.approx(1.0)}
