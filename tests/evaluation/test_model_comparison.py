"""Comparisons of two classifiers whose predictions are made by hand."""

import csv

import numpy as np
import pytest
from scipy import stats

from sightline.data.label_schema import keypoint_schema
from sightline.evaluation.comparison_report import comparison_csv, comparison_page, verdict
from sightline.evaluation.inference import names_by_id
from sightline.evaluation.model_comparison import ComparedModel, ModelComparison, with_differences
from sightline.report.pages.comparison_page import write_comparison_page
from sightline.tasks.evaluators import open_evaluator
from tests.classified import NETWORKS, make_card, write_coco
from tests.tasks.test_classification_evaluator import predict

IMAGES = 90


def compare(folder, wrong_a, wrong_b, **more):
    """Two models that are wrong on images by their number."""
    truth = write_coco(folder, IMAGES)
    for image in truth["images"]:
        image["group"] = more.get("groups", {}).get(image["id"], "")
    evaluator = open_evaluator("classification", "none", names_by_id(truth), keypoint_schema(truth))
    models = []
    for name, wrong in (("old", wrong_a), ("new", wrong_b)):
        found = predict(truth, wrong={(number, "class") for number in wrong})
        measured = evaluator.measure(truth, found, 0.5)
        models.append(ComparedModel(name, name * 20, make_card(NETWORKS["cnn"]), found, measured))
    return with_differences(ModelComparison("shapes_train_v1", "test", truth, folder, evaluator, 0.5, *models))


def test_a_better_model_is_shown_with_the_images_that_show_it(tmp_path, open_comparison):
    found = compare(tmp_path, wrong_a=range(1, 31), wrong_b=range(25, 37))
    accuracy = next(one for one in found.metrics if one.name == "accuracy")
    assert [one.name for one in found.metrics][:2] == ["accuracy", "f1_macro"]  # the most important ones first
    assert (accuracy.a, accuracy.b) == pytest.approx((60 / 90, 78 / 90))
    assert accuracy.sure == "b"
    gains = np.zeros(IMAGES)
    gains[:24], gains[30:36] = 1, -1
    error = gains.std(ddof=1) / np.sqrt(IMAGES) * stats.t.ppf(0.975, IMAGES - 1)
    assert (accuracy.low, accuracy.high) == pytest.approx((0.2 - error, 0.2 + error), abs=0.02)
    assert found.counts == {"both": 54, "only_a": 6, "only_b": 24, "neither": 6}
    assert [one.image_id for one in found.better("a")] == [*range(31, 37)]
    assert [one.image_id for one in found.better("b")] == [*range(1, 25)]
    assert verdict(found).startswith("B is better: accuracy 0.867 against 0.667 on 90 images.")
    page = open_comparison(found)
    page.has(
        "only B without a mistake 24",
        "A 0.667 · B 0.867 · B is better 0.667 0.867 +0.200",
        "12 of 24 are shown",
        "30.png",
    )


def test_a_difference_within_its_interval_is_not_called_better(tmp_path, open_comparison):
    found = compare(tmp_path, wrong_a=range(1, 11), wrong_b=range(3, 12))
    assert {one.sure for one in found.metrics} == {""}
    assert "can be chance" in verdict(found)
    assert 'class="n win"' not in open_comparison(found).source


def test_of_an_error_the_lower_value_is_better(tmp_path):
    found = compare(tmp_path, wrong_a=range(1, 31), wrong_b=())
    error = next(one for one in found.metrics if one.name == "calibration_error")
    assert not error.higher_is_better
    assert error.a < error.b  # both are 80 % sure: the one that is right in 67 % is nearer than the one always right
    assert error.better < 0.5
    assert error.sure in ("", "a")


def test_images_of_one_group_count_as_one(tmp_path):
    alone = compare(tmp_path / "alone", wrong_a=range(1, 31), wrong_b=())
    grouped = compare(
        tmp_path / "grouped", wrong_a=range(1, 31), wrong_b=(), groups={n: str(n // 16) for n in range(91)}
    )
    widths = [one.high - one.low for found in (alone, grouped) for one in found.metrics if one.name == "accuracy"]
    assert widths[1] > 2 * widths[0]


def test_classes_are_compared_worst_first(tmp_path):
    found = compare(
        tmp_path, wrong_a=(), wrong_b=[number for number in range(1, 91) if (number - 1) // 2 % 3 == 1][:12]
    )
    assert found.class_metric
    assert found.classes[0].name == "blue"
    assert found.classes[0].difference < -0.1
    assert [one.difference for one in found.classes] == sorted(one.difference for one in found.classes)


def test_all_numbers_are_in_the_csv(tmp_path):
    found = compare(tmp_path, wrong_a=range(1, 31), wrong_b=range(25, 37))
    rows = list(csv.DictReader(comparison_csv(found).splitlines()))
    assert len(rows) == len(found.metrics) + len(found.classes)
    accuracy = next(row for row in rows if row["metric"] == "accuracy")
    assert float(accuracy["b"]) == 78 / 90
    assert float(accuracy["low"]) > 0


@pytest.fixture
def open_comparison(tmp_path):
    from tests.report.conftest import Page, is_self_contained

    def parse(found):
        write_comparison_page(tmp_path / "page.html", comparison_page(found))
        page = Page((tmp_path / "page.html").read_text(encoding="utf-8"))
        is_self_contained(page)
        return page

    return parse
