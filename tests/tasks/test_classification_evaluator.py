"""What the evaluator says about predictions: metrics, remarks, sections, captions, and champions of other classes."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from sightline.errors import DataError
from sightline.evaluation.inference import predictions_from_json, predictions_to_json
from sightline.evaluation.shared_classes import shared_classes
from sightline.steps.task import Finished
from sightline.tasks.base import load_task
from sightline.tasks.classification.prediction import Classification, LabelSetAnswer
from sightline.tasks.evaluators import open_evaluator
from tests.classified import ONE_SET, SEVERAL, class_names, draw, write_coco


def predict(truth, wrong=(), sure=0.8, thresholds=None):
    """Right predictions, but for some images, given as (image id, label set); there the first other class is said."""
    found = []
    for image in truth["images"]:
        answers = []
        for one in truth["label_sets"]:
            ids = np.array(one["category_ids"])
            applies = np.isin(ids, image["labels"])
            if (image["id"], one["name"]) in wrong:
                applies = ~applies if one["multiple"] else np.arange(len(ids)) == (applies.argmax() + 1) % len(ids)
            others = 1 - sure if one["multiple"] else (1 - sure) / (len(ids) - 1)
            probabilities = np.where(applies, sure, others).astype(np.float32)
            limits = np.array([(thresholds or {}).get(int(id_), np.nan) for id_ in ids], np.float32)
            answers.append(LabelSetAnswer(ids, probabilities, limits, one["multiple"]))
        found.append(Classification(image["id"], tuple(answers)))
    return found


def evaluator(sets):
    return open_evaluator("classification", "none", dict(enumerate(class_names(sets), start=1)))


def test_one_label_set_reads_simply(tmp_path):
    truth = write_coco(tmp_path, 12)
    found = predict(truth, wrong={(3, "class"), (8, "class")})
    measured = evaluator(ONE_SET).measure(truth, found, 0.5)
    assert measured.metrics["accuracy"] == pytest.approx(10 / 12)
    assert "joint_accuracy" not in measured.metrics
    assert not any("/" in name for name in measured.metrics)
    sections = {section["id"]: section for section in measured.document()["sections"]}
    assert list(sections) == [
        "classes", "roc", "roc-classes", "confusion", "scores", "calibration", "answers", "label-errors", "predictions",
    ]  # fmt: skip
    assert list(sections["classes"]["rows"]) == list(class_names(ONE_SET))
    assert np.trace(sections["confusion"]["matrix"]) == 10
    assert sections["confusion"]["matrix"][1][2] == 1  # image 3 is blue, and green is said
    assert measured.remark(3).text == "blue predicted as green (80 %)"
    assert measured.remark(3).mistakes == 1
    assert measured.remark(1).text == "right"
    assert [one["image"] for one in sections["answers"]["examples"]] == ["2.png", "7.png"]


def test_the_wrong_images_whose_truth_seems_least_probable_come_first(tmp_path):
    truth = write_coco(tmp_path, 12)
    wrong = {(3, "class"), (8, "class"), (11, "class")}
    found = predict(truth, wrong=wrong)
    found[7] = predict(truth, wrong=wrong, sure=0.97)[7]
    sections = {one.id: one for one in evaluator(ONE_SET).measure(truth, found, 0.5).sections}
    assert [one.image for one in sections["answers"].examples] == ["7.png", "2.png", "10.png"]


def test_several_label_sets_have_metrics_of_their_own_and_together(tmp_path):
    truth = write_coco(tmp_path, 12, sets=SEVERAL)
    found = predict(truth, wrong={(1, "shape"), (2, "shape"), (2, "colour"), (5, "marks")})
    measured = evaluator(SEVERAL).measure(truth, found, 0.5)
    metrics = measured.metrics
    assert metrics["accuracy/shape"] == pytest.approx(10 / 12)
    assert metrics["accuracy/colour"] == pytest.approx(11 / 12)
    assert metrics["accuracy/marks"] == pytest.approx(11 / 12)
    assert metrics["accuracy"] == pytest.approx((10 + 11 + 11) / 36)
    assert metrics["joint_accuracy"] == pytest.approx(9 / 12)
    assert measured.remark(2).mistakes == 2
    assert measured.remark(2).text == "shape: disc predicted as square (80 %); colour: red predicted as blue (80 %)"
    sections = {section["id"]: section for section in measured.document()["sections"]}
    assert {"label-sets", "confusion-shape", "confusion-colour"} <= set(sections)
    assert "confusion-marks" not in sections
    assert set(sections["label-sets"]["rows"]) == set(SEVERAL)
    assert "shape/disc" in sections["classes"]["rows"]


def test_the_validation_chooses_the_thresholds_that_the_steps_use(tmp_path):
    """A class that is found with 30 % always, and otherwise with 20 %: its threshold is between."""
    task, truth = load_task("classification"), write_coco(tmp_path, 12, sets=SEVERAL)
    found = []
    for image in truth["images"]:
        ids = [one["category_ids"] for one in truth["label_sets"]]
        values = [np.where(np.isin(one, image["labels"]), 0.3, 0.2).astype(np.float32) for one in ids]
        answers = [
            LabelSetAnswer(np.array(one), value, np.full(len(one), np.nan, np.float32), schema["multiple"])
            for one, value, schema in zip(ids, values, truth["label_sets"], strict=True)
        ]
        found.append(Classification(image["id"], tuple(answers)))
    chosen = task.thresholds(truth, found)
    assert chosen == pytest.approx({"shape/disc": 0.25, "marks/bar": 0.25, "marks/dot": 0.25})
    before = evaluator(SEVERAL).measure(truth, found, 0.5).metrics
    numbers = {name: number for number, name in enumerate(class_names(SEVERAL), start=1)}
    limits = {numbers[name]: value for name, value in chosen.items()}
    decided = [
        Classification(
            one.image_id,
            tuple(
                LabelSetAnswer(
                    answer.category_ids,
                    answer.probabilities,
                    np.array([limits.get(int(id_), np.nan) for id_ in answer.category_ids], np.float32),
                    answer.multiple,
                )
                for answer in one.label_sets
            ),
        )
        for one in found
    ]
    after = evaluator(SEVERAL).measure(truth, decided, 0.5).metrics
    assert before["accuracy/marks"] < 0.5
    assert after["accuracy/marks"] == after["accuracy/shape"] == after["joint_accuracy"] == 1
    assert task.evaluate(truth, found) == after


def test_a_score_threshold_leaves_out_answers_without_an_operating_threshold(tmp_path):
    truth = write_coco(tmp_path, 1, sets=SEVERAL)
    (sure,) = predict(truth, sure=0.6, thresholds={7: 0.7})
    assert [one.chosen(0.0) for one in sure.label_sets] == [[1], [3], []]
    assert sure.above(0.5).chosen() == [1, 3]
    assert sure.above(0.65).chosen() == []
    assert sure.above(0.65).above(0.1).chosen() == []
    shown = evaluator(SEVERAL)
    assert shown.line(shown.describe(sure)) == "shape: square 60 %, colour: red 60 %, marks: no class"
    assert shown.line(shown.describe(sure.above(0.65))) == "shape: no class, colour: no class, marks: no class"
    assert shown.describe(sure.above(0.65))["probabilities"]["shape"]["square"] == pytest.approx(0.6)


def test_predictions_come_back_exactly(tmp_path):
    found = [one.above(0.3) for one in predict(write_coco(tmp_path, 3, sets=SEVERAL), thresholds={6: 0.123})]
    text = predictions_to_json(found)
    back = predictions_from_json(text, Classification)
    assert predictions_to_json(back) == text
    assert back[0].label_sets[0].probabilities.dtype == np.float32
    assert np.array_equal(back[0].label_sets[2].probabilities, found[0].label_sets[2].probabilities)
    broken = json.loads(text)
    broken["images"][0]["label_sets"][0]["probabilities"].pop()
    with pytest.raises(ValueError, match="as many probabilities"):
        predictions_from_json(json.dumps(broken), Classification)


def test_a_champion_with_other_classes_is_measured_on_those_that_both_have(tmp_path):
    truth = write_coco(tmp_path, 12)
    shared = shared_classes(["blue", "green", "pink"], [1, 2, 3], truth)
    ids = np.array([1, 2, 3])
    found = [
        Classification(
            image["id"],
            (LabelSetAnswer(ids, np.array([0.6, 0.3, 0.1], np.float32), np.full(3, np.nan, np.float32), False),),
        )
        for image in truth["images"]
    ]
    part = shared.truth(truth)
    assert part["label_sets"] == [{"name": "class", "category_ids": [2, 3], "multiple": False}]
    measured = evaluator(ONE_SET).for_classes(shared.names).measure(part, shared.translated(found), 0.5)
    blue = sum(2 in image["labels"] for image in truth["images"])
    green = sum(3 in image["labels"] for image in truth["images"])
    assert measured.metrics["accuracy"] == pytest.approx(blue / (blue + green))
    assert set(measured.remarks) == {image["id"] for image in truth["images"] if 1 not in image["labels"]}


def test_missing_predictions_and_classes_are_errors(tmp_path):
    truth = write_coco(tmp_path, 3)
    with pytest.raises(DataError) as caught:
        evaluator(ONE_SET).measure(truth, predict(truth)[1:], 0.5)
    assert "1 images have no prediction, such as 0.png" in str(caught.value)
    with pytest.raises(DataError):
        evaluator(ONE_SET).measure(truth, [one.of_classes({1: 1, 2: 2}) for one in predict(truth)], 0.5)
    objects = {name: value for name, value in truth.items() if name != "label_sets"}
    with pytest.raises(DataError) as caught:
        evaluator(ONE_SET).measure(objects, predict(truth), 0.5)
    assert "no label sets" in str(caught.value)


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.1, 1.5])
def test_probabilities_that_are_none_are_an_error(tmp_path, value):
    truth = write_coco(tmp_path, 3)
    found = predict(truth)
    found[1].label_sets[0].probabilities[0] = value
    with pytest.raises(DataError, match=truth["images"][1]["file_name"]):
        evaluator(ONE_SET).measure(truth, found, 0.5)


def test_predictions_for_other_images_and_repeated_ones_are_errors(tmp_path):
    truth = write_coco(tmp_path, 3)
    found = predict(truth)
    with pytest.raises(DataError, match="99"):
        evaluator(ONE_SET).measure(truth, [*found, replace(found[0], image_id=99)], 0.5)
    with pytest.raises(DataError, match="2 predictions"):
        evaluator(ONE_SET).measure(truth, [*found, found[0]], 0.5)


def test_captions_stand_below_the_image(tmp_path):
    truth = write_coco(tmp_path, 1, sets=SEVERAL)
    image, shown = draw(0)[0], evaluator(SEVERAL)
    drawn = shown.draw(image, predict(truth)[0])
    expected = image.resize((320, 240), Image.Resampling.BICUBIC)
    assert np.array_equal(np.asarray(drawn)[:240], np.asarray(expected))
    assert drawn.width == 320
    assert drawn.height > 240 + 3 * 12
    assert np.asarray(drawn)[240:].std() > 10
    assert shown.draw_truth(image, [], truth["images"][0]["labels"]).width == 320
    large = Image.new("L", (1000, 500), 90)
    assert shown.draw_truth(large, [], []).size[0] == 1000


def test_kubeflow_gets_the_confusion_matrix_and_the_roc_curve(tmp_path):
    truth = write_coco(tmp_path, 12)
    measured = evaluator(ONE_SET).measure(truth, predict(truth, wrong={(3, "class")}), 0.5).document()
    summary = {"models": {"best": {"sha256": "1", **measured}}, "selections": [{"candidate_sha256": "1"}]}
    finished = Finished("{}", summary=summary)
    assert finished.confusion[0] == list(class_names(ONE_SET))
    from kfp.dsl import ClassificationMetrics

    artifact = ClassificationMetrics(name="c", uri="file:///c", metadata={})
    artifact.log_confusion_matrix(*finished.confusion)
    artifact.log_roc_curve(*finished.roc)
    points = artifact.metadata["confidenceMetrics"]
    assert len(points) == 101
    assert points[0]["falsePositiveRate"] == 0
    assert points[-1]["recall"] == 1
    assert all(0 <= point["confidenceThreshold"] <= 1 for point in points)
    assert len(artifact.metadata["confusionMatrix"]["rows"]) == 3
    json.dumps(artifact.metadata)
    several = write_coco(tmp_path, 12, sets=SEVERAL)
    measured = evaluator(SEVERAL).measure(several, predict(several, wrong={(3, "shape")}), 0.5).document()
    summary["models"]["best"] = {"sha256": "1", **measured}
    names, matrix = Finished("{}", summary=summary).confusion
    single = [name for name in class_names(SEVERAL) if not name.startswith("marks/")]  # an image may have several marks
    assert names == single
    assert np.sum(matrix) == 2 * 12
    assert np.trace(matrix) == 2 * 12 - 1
    shapes = sum(name.startswith("shape/") for name in names)
    assert not np.any(np.array(matrix)[:shapes, shapes:])
    assert not np.any(np.array(matrix)[shapes:, :shapes])
    plain = {"models": {"best": {"sha256": "1", "sections": []}}, "selections": [{"candidate_sha256": "1"}]}
    assert Finished("{}", summary=plain).roc == ([], [], [])
