"""The sections about scores of a detector: what is right is what pycocotools says, and thresholds are those planted."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from sightline.data.detections import Detections
from sightline.tasks.evaluators import open_evaluator

CLASSES = {1: "bolt", 2: "crack", 3: "unseen"}
IMAGES = 40


def world(split="val"):
    """One bolt and one crack in each image; bolts are found with scores from 0.6 on, cracks from 0.2 on.

    Beside each there is a false detection with a lower score, at another place.
    """
    noise = np.random.default_rng(0)
    images, annotations, found = [], [], []
    for number in range(1, IMAGES + 1):
        size = {"width": 200, "height": 200, "sha256": "", "group": ""}
        images.append({"id": number, "file_name": f"{number}.png"} | size)
        for category, left in ((1, 10), (2, 100)):
            box = [left, 10, 40, 40]
            corners = [left, 10, left + 40, 10, left + 40, 50, left, 50]
            annotations.append(
                {"id": len(annotations) + 1, "image_id": number, "category_id": category, "bbox": box, "area": 1600.0,
                 "segmentation": [corners], "iscrowd": 0}
            )  # fmt: skip
        boxes = [[10, 10, 50, 50], [100, 10, 140, 50], [10, 120, 50, 160], [100, 120, 140, 160]]
        scores = [noise.uniform(0.6, 0.9), noise.uniform(0.2, 0.9), noise.uniform(0.3, 0.58), noise.uniform(0.01, 0.18)]
        found.append(
            Detections(number, np.array(boxes, np.float32), np.array(scores, np.float32), np.array([1, 2, 1, 2]), None)
        )
    categories = [{"id": id_, "name": name} for id_, name in CLASSES.items()]
    return {"images": images, "annotations": annotations, "categories": categories, "info": {"split": split}}, found


def sections(truth, found):
    measured = open_evaluator("object_detection", "none", CLASSES).measure(truth, found, 0.5)
    return {section["id"]: section for section in measured.document()["sections"]}


def test_thresholds_are_those_that_separate_right_from_wrong():
    truth, found = world()
    rows = sections(truth, found)["thresholds"]["rows"]
    assert 0.58 <= rows["bolt"]["threshold"] <= 0.62
    assert 0.18 <= rows["crack"]["threshold"] <= 0.22
    assert {row["F1"] for row in rows.values()} == {1.0}
    assert "unseen" not in rows
    scores = np.concatenate([one.scores for one in found])
    right = np.tile([True, True, False, False], IMAGES)
    single = max(f1_score(right, scores >= limit) for limit in np.linspace(0, 1, 101))
    assert single < 0.95  # so it is worth showing one threshold for each class


def test_nothing_is_chosen_on_the_test_split():
    assert "thresholds" not in sections(*world("test"))
    assert "scores" in sections(*world("test"))


def test_histogram_and_calibration_count_every_detection():
    truth, found = world()
    shown = sections(truth, found)
    [histogram] = shown["scores"]["histograms"]
    low = sum(int((one.scores < 0.05).sum()) for one in found)
    assert sum(histogram["bars"]["right"]) == 2 * IMAGES
    assert sum(histogram["bars"]["wrong"]) == 2 * IMAGES - low
    assert str(low) in histogram["note"]
    [chart] = shown["calibration"]["charts"]
    assert len(chart["x"]) == len(chart["lines"]["observed"])
    assert chart["lines"]["observed"][-1] == 1.0
    assert chart["x"] == sorted(chart["x"])


def test_without_detections_the_sections_are_empty_and_say_so():
    truth, _ = world()
    nothing = np.zeros((0, 4), np.float32)
    found = [
        Detections(image["id"], nothing, np.zeros(0, np.float32), np.zeros(0, np.int64), None)
        for image in truth["images"]
    ]
    shown = sections(truth, found)
    assert shown["scores"]["histograms"] == shown["calibration"]["charts"] == []
    assert shown["thresholds"]["rows"] == {}


@pytest.mark.parametrize("kind", ["no images", "no truth"])
def test_a_split_without_truth_has_no_thresholds(kind):
    truth, found = world()
    truth["annotations"] = []
    if kind == "no images":
        truth["images"], found = [], []
    assert not sections(truth, found).get("thresholds", {}).get("rows")
