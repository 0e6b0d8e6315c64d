"""evaluate_coco against pycocotools' own way of reading result files, and at the edges where that one errs."""

from __future__ import annotations

import contextlib
import copy
import io
import json

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from sightline.data.detections import Detections
from sightline.errors import DataError
from sightline.metrics.coco import evaluate_coco
from tests.golden import raises


@pytest.fixture
def crowded(make_truth, make_found):
    """Twelve images of four classes (the last without truth), found with errors, doubles and misses."""
    random = np.random.default_rng(7)
    images, found = [], []
    for image_id in range(1, 13):
        instances, detections = [], []
        for _ in range(random.integers(0, 8)):
            box = (*random.uniform(0, 120, 2), *random.uniform(8, 75, 2))
            category = int(random.integers(1, 4))
            instances.append((category, box))
            for _ in range(random.integers(0, 3)):
                moved = tuple(np.abs(np.array(box) + random.normal(0, 3, 4)))
                wrong = random.random() < 0.15
                detections.append((4 if wrong else category, float(random.random()), moved))
        images.append(instances)
        if detections:
            found.append(make_found(image_id, detections))
    return make_truth(images, ["a", "b", "c", "d"]), found


def from_result_files(truth, detections, kind, tmp_path):
    """The twelve numbers that pycocotools prints."""
    results = []
    for found in detections:
        for index in range(len(found)):
            entry = {"image_id": found.image_id, "category_id": int(found.category_ids[index])}
            x1, y1, x2, y2 = found.boxes_xyxy[index].astype(float)
            shape = {"bbox": [x1, y1, x2 - x1, y2 - y1]} if kind == "bbox" else {"segmentation": found.masks[index]}
            results.append({**entry, **shape, "score": float(found.scores[index])})
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    (tmp_path / "results.json").write_text(json.dumps(results))
    with contextlib.redirect_stdout(io.StringIO()):
        truths = COCO(str(tmp_path / "truth.json"))
        evaluator = COCOeval(truths, truths.loadRes(str(tmp_path / "results.json")), kind)
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return evaluator


@pytest.mark.parametrize(("overlap", "kind"), [("box", "bbox"), ("mask", "segm")])
def test_equal_to_pycocotools_on_result_files(crowded, overlap, kind, tmp_path):
    truth, detections = crowded
    evaluator = from_result_files({**truth, "info": {}}, detections, kind, tmp_path)

    scores = evaluate_coco(truth, detections)

    sizes = ("small", "medium", "large")
    names = ["AP", "AP50", "AP75", *(f"AP_{size}" for size in sizes), "AR_1", "AR_10", "AR_100"]
    names += [f"AR_{size}" for size in sizes]
    expected = {f"{overlap}_{name}": value for name, value in zip(names, evaluator.stats, strict=True) if value > -1}
    mine = {name: value for name, value in scores.values.items() if name.startswith(overlap)}
    assert mine == pytest.approx(expected, abs=1e-12)
    assert 0.1 < mine[f"{overlap}_AP"] < 0.9
    for index, name in enumerate(["a", "b", "c"]):
        curve = evaluator.eval["precision"][0, :, index, 0, 2]
        np.testing.assert_allclose(scores.curves[overlap][name], curve, atol=1e-12)
        assert scores.per_class[name][f"{overlap}_AP50"] == pytest.approx(curve.mean())


def test_classes_without_truth_are_left_out(crowded):
    truth, detections = crowded

    scores = evaluate_coco(truth, detections)

    assert set(scores.per_class) == set(scores.curves["box"]) == {"a", "b", "c"}
    assert scores.instances["d"] == 0
    assert sum(scores.instances.values()) == len(truth["annotations"])


def test_order_of_images_and_calls_changes_nothing(crowded):
    truth, detections = crowded
    before = copy.deepcopy(truth)

    first, second = evaluate_coco(truth, detections), evaluate_coco(truth, detections[::-1])

    assert first == second
    assert truth == before


def test_is_silent(crowded, capsys):
    evaluate_coco(*crowded)

    assert capsys.readouterr() == ("", "")


def test_nothing_found_scores_zero(make_truth):
    truth = make_truth([[(1, (10, 10, 40, 40))]], ["a"])

    scores = evaluate_coco(truth, [])

    assert scores.values["box_AP"] == scores.values["mask_AP50"] == 0.0
    assert scores.curves["mask"]["a"] == [0.0] * 101


def test_no_truth_gives_no_values(make_truth, make_found):
    scores = evaluate_coco(make_truth([[]], ["a"]), [make_found(1, [(1, 0.9, (10, 10, 40, 40))])])

    assert scores.values == {}
    assert scores.per_class == {}
    assert scores.curves == {"box": {}, "mask": {}}
    assert scores.instances == {"a": 0}


def test_more_than_a_hundred_detections_of_a_class(make_truth, make_found):
    truth = make_truth([[(1, (10, 10, 40, 40))]], ["a"])
    noise = [(1, 0.5, (100, 100, 20, 20))] * 100

    last = evaluate_coco(truth, [make_found(1, [*noise, (1, 0.4, (10, 10, 40, 40))])])
    first = evaluate_coco(truth, [make_found(1, [*noise, (1, 0.6, (10, 10, 40, 40))])])

    assert last.values["box_AP"] == 0.0
    assert first.values["box_AP"] == pytest.approx(1.0)


def with_annotation(truth, **changes):
    first, *others = truth["annotations"]
    return {**truth, "annotations": [{**first, **changes}, *others]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id": 0}, "[0]"),  # pycocotools: AP 0
        ({"id": 2}, "[2]"),  # pycocotools: one truth too few
        ({"image_id": 9}, "COCO"),
        ({"category_id": 9}, "COCO"),
        ({"area": float("nan")}, "nan"),
    ],
)
def test_refuses_truth_that_would_be_scored_wrongly(make_truth, changes, message):
    truth = make_truth([[(1, (10, 10, 40, 40)), (2, (80, 80, 40, 40))]], ["a", "b"])

    with raises(DataError, message):
        evaluate_coco(with_annotation(truth, **changes), [])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_id": 2}, "image 2"),
        ({"category_ids": np.array([5])}, "[5]"),
        ({"scores": np.array([np.nan], np.float32)}, "scores"),
        ({"scores": np.array([1.5], np.float32)}, "scores"),
        ({"boxes_xyxy": np.array([[0, 0, np.inf, 5]], np.float32)}, "boxes"),
        ({"masks": []}, "masks"),
        ({"masks": [{"size": [100, 200], "counts": "PVo30"}]}, "[100, 200]"),  # pycocotools: AP 0
    ],
)
def test_refuses_detections_that_do_not_belong(make_truth, make_found, changes, message):
    truth = make_truth([[(1, (10, 10, 40, 40))]], ["a"])
    found = make_found(1, [(1, 0.9, (10, 10, 40, 40))])
    fields = {name: getattr(found, name) for name in Detections.__slots__}

    with raises(DataError, message):
        evaluate_coco(truth, [Detections(**{**fields, **changes})])


def test_refuses_an_image_twice(make_truth, make_found):
    found = make_found(1, [(1, 0.9, (10, 10, 40, 40))])

    with raises(DataError):
        evaluate_coco(make_truth([[]], ["a"]), [found, found])
