"""Average precision by how often each image counts, against pycocotools on images that are really repeated."""

import contextlib
import io

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from sightline.metrics.statistic import AveragePrecision, ClassMatches, Ratio

IMAGES = 12
THRESHOLDS = np.array([0.5, 0.75])


def boxes(random, count):
    corners = random.uniform(0, 60, (count, 2))
    return np.concatenate([corners, random.uniform(8, 40, (count, 2))], axis=1)


@pytest.fixture(params=range(12))
def world(request):
    """Truth and detections of one class: image -> boxes, and image -> (boxes, scores)."""
    random = np.random.default_rng(request.param)
    truth = {image: boxes(random, int(random.integers(0, 4))) for image in range(IMAGES)}
    found = {}
    for image, true in truth.items():
        near = true + random.normal(0, 3, true.shape)
        several = np.concatenate([near, boxes(random, int(random.integers(0, 3)))])
        found[image] = (several, random.permutation(10_000)[: len(several)] / 10_000 + image / 1e6)
    return truth, found


def evaluated(truth, found, images):
    """pycocotools' evaluation of a split in which images may be repeated."""
    annotations, detections = [], []
    for number, image in enumerate(images, start=1):
        for target, rows in ((annotations, truth[image]), (detections, found[image][0])):
            scores = found[image][1] if target is detections else [1.0] * len(rows)
            for box, score in zip(rows.tolist(), scores, strict=True):
                target.append(
                    {"id": len(target) + 1, "image_id": number, "category_id": 1, "bbox": box, "iscrowd": 0}
                    | {"area": box[2] * box[3], "score": float(score)}
                )
    with contextlib.redirect_stdout(io.StringIO()):
        documents = []
        for entries in (annotations, detections):
            one = COCO()
            one.dataset = {
                "images": [{"id": number + 1} for number in range(len(images))],
                "annotations": entries,
                "categories": [{"id": 1}],
            }
            one.createIndex()
            documents.append(one)
        evaluation = COCOeval(*documents, "bbox")
        evaluation.params.iouThrs, evaluation.params.maxDets = THRESHOLDS, [100]
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [(0.0, 1e10)], ["all"]
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation


def statistic_of(truth, found):
    """The statistic, from pycocotools' own matches."""
    images, scores, right = [], [], []
    for one in evaluated(truth, found, range(IMAGES)).evalImgs:
        if one is not None:
            images += [one["image_id"] - 1] * len(one["dtScores"])
            scores += one["dtScores"]
            right.append(np.asarray(one["dtMatches"]) > 0)
    order = np.argsort(-np.array(scores), kind="stable")
    matched = np.concatenate(right, axis=1)[:, order]
    counts = np.array([len(truth[image]) for image in range(IMAGES)], float)
    return AveragePrecision(
        [ClassMatches(np.array(images, dtype=np.intp)[order], matched, np.zeros_like(matched), counts)]
    )


def test_repeated_and_left_out_images_give_what_pycocotools_gives(world):
    truth, found = world
    statistic = statistic_of(truth, found)
    random = np.random.default_rng(1)
    weights = np.concatenate([np.ones((1, IMAGES)), random.integers(0, 4, (8, IMAGES))]).astype(float)

    values = statistic.values(weights)

    for value, weight in zip(values, weights, strict=True):
        images = np.repeat(np.arange(IMAGES), weight.astype(int)).tolist()
        precision = evaluated(truth, found, images).eval["precision"][..., 0, 0, 0]
        assert value == pytest.approx(precision.mean(), abs=1e-12)


def test_only_the_ratio_of_weights_matters_and_nothing_counts_as_unknown(world):
    statistic = statistic_of(*world)
    weights = np.random.default_rng(2).uniform(0.1, 2, (3, IMAGES))
    assert statistic.values(weights * 7) == pytest.approx(statistic.values(weights), abs=1e-9)
    assert np.isnan(statistic.values(np.zeros((1, IMAGES)))).all()


def test_ignored_detections_do_not_count():
    right = np.array([[True, False, True]])
    plain = ClassMatches(np.array([0, 0, 1]), right, np.zeros((1, 3), bool), np.ones(2))
    crowd = ClassMatches(np.array([0, 0, 1]), right, np.array([[False, True, False]]), np.ones(2))
    weights = np.ones((1, 2))
    assert AveragePrecision([plain]).values(weights)[0] == pytest.approx((51 + 50 * 2 / 3) / 101)
    assert AveragePrecision([crowd]).values(weights)[0] == pytest.approx(1.0)


def test_a_ratio_of_nothing_is_unknown():
    assert np.isnan(Ratio(np.zeros(2), np.zeros(2)).values(np.ones((1, 2)))).all()
