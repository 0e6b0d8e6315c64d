"""hotcoco, pycocotools and our matches agree on hundreds of generated sets, to the last bit."""

from __future__ import annotations

import copy
import os
import signal

import numpy as np
import pytest

from sightline.metrics.coco_evaluator import coco_arrays
from sightline.metrics.matches import average_precision_statistics, match_detections
from tests.metrics.generated_sets import PLANS, Plan, generated, reference, repeated

SEEDS = range(7)
KINDS = ("box", "mask", "keypoint")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("plan", PLANS)
def test_arrays_and_matches_are_those_of_pycocotools(plan, kind):
    """7 seeds x 17 plans x 3 kinds: 357 sets."""
    for seed in SEEDS:
        compare(*generated(seed, PLANS[plan], keypoints=kind == "keypoint"), kind)


@pytest.mark.parametrize("kind", KINDS)
def test_thousands_of_detections(kind):
    plan = Plan(images=3, objects=60, classes=2, false=6000)
    truth, found, sigmas = generated(1, plan, keypoints=kind == "keypoint")
    assert sum(map(len, found)) > 3000
    compare(truth, found, sigmas, kind)


def compare(truth, found, sigmas, kind):
    before = copy.deepcopy(truth)
    expected = reference(truth, found, kind, sigmas)
    for evaluator in ("hotcoco", "pycocotools"):
        arrays = coco_arrays(truth, found, kind, sigmas, evaluator)
        for name in ("precision", "recall", "scores"):
            np.testing.assert_array_equal(getattr(arrays, name), expected.eval[name], f"{evaluator}: {name}")
    assert outcomes(match_detections(truth, found, kind, sigmas), truth) == outcomes_of(expected)
    assert truth == before


def outcomes(matches, truth):
    """Class id, image id -> for each detection by rank: score, and for each threshold the object's id and ignored."""
    images = [image["id"] for image in truth["images"]]
    classes = sorted(category["id"] for category in truth["categories"])
    result = {}
    for place in range(len(matches.found.scores)):
        key = classes[matches.found.classes[place]], images[matches.found.images[place]]
        ids = [0 if index < 0 else truth["annotations"][index]["id"] for index in matches.matched[:, place]]
        row = float(matches.found.scores[place]), ids, matches.ignored[:, place].tolist()
        result.setdefault(key, []).append(row)
    return result


def outcomes_of(evaluation):
    result = {}
    for one in evaluation.evalImgs:
        if one is not None and one["aRng"] == evaluation.params.areaRng[0] and one["dtIds"]:
            ignored = np.asarray(one["dtIgnore"]) > 0
            matched = np.asarray(one["dtMatches"])
            rows = zip(one["dtScores"], exact(matched, evaluation).T.tolist(), ignored.T.tolist(), strict=True)
            result[one["category_id"], one["image_id"]] = list(rows)
    return result


def exact(matched, evaluation):
    """pycocotools stores ids as floats; the ids themselves, found by rounding."""
    ids = {float(id_): id_ for id_ in evaluation.cocoGt.anns}
    assert len(ids) == len(evaluation.cocoGt.anns)
    return np.vectorize(lambda id_: ids.get(id_, 0), otypes=[object])(matched)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("plan", ["plain", "crowds", "ties", "overflow", "class missing", "huge unsorted ids"])
def test_statistics_are_the_evaluation_of_repeated_images(plan, kind):
    truth, found, sigmas = generated(11, PLANS[plan], keypoints=kind == "keypoint")
    statistics, of_classes = average_precision_statistics([match_detections(truth, found, kind, sigmas)])
    rng = np.random.default_rng(5)
    # The rank of copies with equal scores depends on their ids: with ties, images count once or not at all.
    most = 1 if PLANS[plan].ties else 3
    weights = np.stack([np.ones(len(truth["images"])), *rng.integers(0, most + 1, (3, len(truth["images"])))])

    for index, counts in enumerate(weights):
        expected = reference(*repeated(truth, found, counts), kind, sigmas).eval["precision"][..., 0, -1]
        for name, part in (("AP", slice(None)), ("AP50", slice(0, 1)), ("AP75", slice(5, 6))):
            values = statistics[f"{kind}_{name}"].values(weights)
            assert values[index] == pytest.approx(mean(expected[part]), abs=1e-12, nan_ok=True)
            for place, category in enumerate(sorted(truth["categories"], key=lambda one: one["id"])):
                if category["name"] in of_classes[f"{kind}_{name}"]:
                    value = of_classes[f"{kind}_{name}"][category["name"]].values(weights)[index]
                    assert value == pytest.approx(mean(expected[part][:, :, place]), abs=1e-12, nan_ok=True)
    assert 0 < statistics[f"{kind}_AP50"].values(weights)[0] < 1


def mean(precision):
    return precision[precision > -1].mean() if (precision > -1).any() else float("nan")


def test_a_process_forked_after_an_evaluation_evaluates_too():
    """hotcoco's threads are not in the child, where it would wait for them forever."""
    truth, found, sigmas = generated(0, Plan(images=20, objects=5, classes=3))
    before = coco_arrays(truth, found, "box", sigmas)
    child = os.fork()
    if child == 0:
        signal.alarm(30)  # the default action ends the process
        same = np.array_equal(coco_arrays(truth, found, "box", sigmas).precision, before.precision)
        os._exit(0 if same else 1)
    _, status = os.waitpid(child, 0)
    assert os.WIFEXITED(status)
    assert os.WEXITSTATUS(status) == 0
