"""What evaluators of detectors measure besides COCO's numbers: statistics, errors, recall at fixed precision."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from sightline.config.task_declarations import task_declaration
from sightline.data.label_schema import keypoint_schema
from sightline.metrics.error_breakdown import FALSE_KINDS, MEANINGS
from sightline.report.sections import TableSection
from sightline.tasks.evaluators import open_evaluator
from tests.metrics.generated_sets import PLANS, Plan, generated

TASKS = ("instance_segmentation", "object_detection", "keypoints")


def measured(task, plan, seed=3, evaluator="hotcoco"):
    truth, found, _ = generated(seed, plan, keypoints=task == "keypoints")
    names = {category["id"]: category["name"] for category in truth["categories"]}
    made = open_evaluator(task, "none", names, keypoint_schema(truth), evaluator)
    return made.measure(truth, found, 0.5), truth


@pytest.mark.parametrize("plan", ["plain", "crowds", "ties", "class missing", "huge unsorted ids", "no detections"])
@pytest.mark.parametrize("task", TASKS)
def test_statistics_equal_metrics_where_each_image_counts_once(task, plan):
    measurement, truth = measured(task, PLANS[plan])
    once = np.ones((1, len(truth["images"])))

    for name, statistic in measurement.statistics.items():
        assert statistic.values(once)[0] == pytest.approx(measurement.metrics[name], abs=1e-12), name
    declared = {metric.name for metric in task_declaration(task).metrics}
    assert declared - set(measurement.statistics) <= {"dv_mAP", "EIR"}
    for name, of_classes in measurement.class_statistics.items():
        mean = np.mean([one.values(once)[0] for one in of_classes.values()])
        assert mean == pytest.approx(measurement.metrics[name], abs=1e-12), name


@pytest.mark.parametrize("plan", ["no truth", "nothing"])
@pytest.mark.parametrize("task", TASKS)
def test_without_truth_nothing_is_claimed(task, plan):
    measurement, _ = measured(task, PLANS[plan])

    assert measurement.metrics == {}
    assert not measurement.statistics
    assert not measurement.class_statistics
    assert not {"errors", "recall", "sizes"} & {section.id for section in measurement.sections}


@pytest.mark.parametrize("task", TASKS)
def test_pycocotools_gives_the_same_measurement_without_hotcoco(task, monkeypatch):
    plan = Plan(images=6)
    expected, _ = measured(task, plan)
    monkeypatch.setitem(sys.modules, "hotcoco", None)
    with pytest.raises(ImportError):
        measured(task, plan)

    again, _ = measured(task, plan, evaluator="pycocotools")

    assert again.document() == expected.document()


@pytest.mark.parametrize(
    ("task", "nouns"), [("object_detection", ["boxes"]), ("instance_segmentation", ["boxes", "masks"])]
)
def test_errors_are_a_table_with_an_explanation_of_each_kind(task, nouns):
    measurement, _ = measured(task, Plan(images=12))
    (table,) = (section for section in measurement.sections if section.id == "errors")

    assert isinstance(table, TableSection)
    assert table.counts == nouns
    rows = {kind: table.rows[meaning] for kind, meaning in MEANINGS.items()}
    assert len(rows) == len(table.rows) == len(FALSE_KINDS) + 3
    for noun in nouns:
        assert sum(rows[kind][noun] for kind in FALSE_KINDS) == rows["false positives"][noun] > 0
        lost = [row[f"AP50 lost, {noun}"] for row in rows.values()]
        assert min(lost) >= 0
        assert max(lost) <= 1 - measurement.metrics[f"{noun.removesuffix('es').removesuffix('s')}_AP50"] + 1e-12


def test_sizes_are_those_of_coco():
    measurement, truth = measured("instance_segmentation", Plan(images=12))
    (table,) = (section for section in measurement.sections if section.id == "sizes")

    assert list(table.rows) == ["all classes", *(category["name"] for category in truth["categories"])]
    for column, value in table.rows["all classes"].items():
        metric, size = column.split()
        assert value == measurement.metrics[f"mask_{metric}_{size}"]
    assert set(table.rows["all classes"]) == set(table.columns)
    assert len(table.columns) == 6
    for column in table.columns:
        of_classes = [table.rows[category["name"]].get(column) for category in truth["categories"]]
        mean = np.mean([value for value in of_classes if value is not None])
        assert table.rows["all classes"][column] == pytest.approx(mean)


def test_recall_at_fixed_precision_is_told_for_all_classes_and_each():
    measurement, truth = measured("instance_segmentation", Plan(images=12))
    (table,) = (section for section in measurement.sections if section.id == "recall")

    assert list(table.rows) == ["all classes", *(category["name"] for category in truth["categories"])]
    assert table.columns[0] == "recall at P90"
    for precision in (90, 95):
        value = measurement.metrics[f"mask_recall_at_P{precision}"]
        assert table.rows["all classes"][f"recall at P{precision}"] == value
