"""The thresholds of detectors: chosen on val for the highest F1, stored by class, and used by predict."""

import itertools

import numpy as np
import pytest

from sightline.data.detections import Detections
from sightline.prediction.batch import shown_from
from sightline.tasks.base import load_task
from tests.squares import make_card

RANDOM = np.random.default_rng(4)


def split(images=20):
    """A split with one cat and one dog in each image."""
    annotations = [
        {
            "id": 2 * image + one, "image_id": image, "category_id": one, "iscrowd": 0, "area": 100.0,
            "bbox": [20.0 * one, 5.0, 10.0, 10.0], "segmentation": [],
        }
        for image, one in itertools.product(range(1, images + 1), (1, 2))
    ]  # fmt: skip
    return {
        "images": [
            {"id": n, "file_name": f"{n}.png", "width": 80, "height": 30, "sha256": "", "group": ""}
            for n in range(1, images + 1)
        ],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}, {"id": 3, "name": "emu"}],
    }


def found(truth):
    """Cats are found with scores around 0.3, dogs around 0.8; false detections of both have lower scores."""
    predictions = []
    for image in truth["images"]:
        boxes = [[20, 5, 30, 15], [40, 5, 50, 15], [60, 5, 70, 15], [65, 5, 75, 15], [0, 20, 9, 29]]
        scores = np.array([0.3, 0.8, 0.1, 0.6, 0.9]) + RANDOM.uniform(-0.05, 0.05, 5)
        order = np.argsort(-scores)
        predictions.append(
            Detections(
                image["id"],
                np.array(boxes, np.float32)[order],
                scores.astype(np.float32)[order],
                np.array([1, 2, 1, 2, 3])[order],
            )
        )
    return predictions


def f1(truth, predictions, category, threshold):
    """By counting: every cat and dog here is found by the one detection in its place."""
    kept = [one.chosen(np.flatnonzero(one.category_ids == category)).above(threshold) for one in predictions]
    right = sum(int((one.boxes_xyxy[:, 0] == 20 * category).sum()) for one in kept)
    return 2 * right / (sum(map(len, kept)) + len(truth["images"]))


def test_thresholds_have_the_highest_f1_of_each_class():
    truth = split()
    predictions = found(truth)
    thresholds = load_task("object_detection").thresholds(truth, predictions)

    assert set(thresholds) == {"cat", "dog"}  # there is no emu
    assert 0.15 < thresholds["cat"] < 0.26
    assert 0.65 < thresholds["dog"] < 0.76
    for name, category in (("cat", 1), ("dog", 2)):
        best = max(f1(truth, predictions, category, at) for at in np.linspace(0, 1, 201))
        assert f1(truth, predictions, category, thresholds[name]) == pytest.approx(best) == pytest.approx(1.0)


def test_predict_uses_the_thresholds_of_the_model_file_by_class():
    card = make_card(classes=("cat", "dog", "emu"), category_ids=(1, 2, 3), thresholds={"cat": 0.2, "dog": 0.7})
    lowest = shown_from(card)
    assert lowest == {1: 0.2, 2: 0.7, 3: 0.5}
    assert shown_from(make_card()) == 0.5  # a model file of an earlier release
    one = found(split(1))[0].above(lowest)
    assert sorted(one.category_ids.tolist()) == [1, 2, 3]
    assert len(found(split(1))[0].above(0.5)) == 3  # a dog, a false dog and an emu


def test_a_split_without_truth_or_detections_gives_no_thresholds():
    task, truth = load_task("object_detection"), split()
    nothing = [one.chosen(np.array([], np.intp)) for one in found(truth)]
    assert task.thresholds(truth, nothing) == {}
    assert task.thresholds(truth | {"annotations": []}, found(truth)) == {}
