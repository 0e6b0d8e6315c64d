"""The metrics that a configuration names are those that its task and its reading produce."""

import pytest

from sightline.config.decode import decode
from sightline.config.defaults import default_document
from sightline.config.metric_choice import check_best_metric, check_select_by
from sightline.config.task_declarations import (
    Reading,
    charted_metrics,
    headline_metrics,
    index_metrics,
    known_metrics,
    listed_metrics,
    task_declaration,
    task_names,
)
from sightline.data.label_schema import KeypointSchema
from sightline.errors import ConfigurationError
from sightline.tasks.base import TASKS, load_task
from sightline.tasks.detection.metrics import READINGS
from sightline.tasks.evaluators import EVALUATORS, open_evaluator
from tests.golden import raises

NOSE = KeypointSchema(("nose",), (), (), (0.05,), uniform_sigmas=True)
ALL = "box_AP, box_AP50, box_AP75, mask_AP, mask_AP50, mask_AP75, dv_mAP, EIR"


def test_every_metric_of_the_task_and_its_reading_can_select():
    check_select_by(decode("plates", [f"evaluate.select_by=[{ALL}]", "evaluate.minimum={EIR: 0.1, dv_mAP: 0.2}"]))


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["evaluate.select_by=[mask_AP, mAP]"], "mAP"),
        (["evaluate.minimum={mAP: 0.1}"], "evaluate.minimum"),
        (
            ["reading=none", "evaluate.select_by=[EIR]"],
            "reading=plates",
        ),
        (["evaluate.select_by=[mask_AP, mask_AP]"], "mask_AP"),
    ],
)
def test_another_metric_is_refused(overrides, says):
    with raises(ConfigurationError, says):
        check_select_by(decode("plates", overrides))


def test_readings_may_share_a_metric(monkeypatch):
    meters = Reading(READINGS["plates"].metric, "counts meters that were read exactly")
    monkeypatch.setitem(READINGS, "meters", meters)
    check_select_by(decode("plates", ["evaluate.select_by=[EIR]"]))
    with pytest.raises(ConfigurationError):
        check_select_by(decode("plates", ["reading=none", "evaluate.select_by=[EIR]"]))


@pytest.mark.parametrize("metric", ["dv_mAP", "accuracy"])
def test_training_chooses_by_what_validation_computes(metric):
    check_best_metric(decode("plates", ["train.best_metric=box_AP75"]))
    check_best_metric(decode("plates", ["train.best_metric=EIR"]))
    with pytest.raises(ConfigurationError) as caught:
        check_best_metric(decode("plates", [f"train.best_metric={metric}"]))
    assert f"train.best_metric: unknown validation metric '{metric}'" in str(caught.value)
    assert "Available: box_AP, box_AP50" in str(caught.value)


@pytest.mark.parametrize(("task", "metric"), [("instance_segmentation", "mask_AP"), ("object_detection", "box_AP")])
def test_where_none_is_named_the_main_metric_of_the_task_decides(task, metric, tmp_path):
    recipe = tmp_path / "own.yaml"
    recipe.write_text(f"task: {task}\ndata: {{classes: [cat]}}\ntrain: {{iterations: 5000}}\n")
    config = decode(str(recipe))
    assert (config.train.best_metric, config.evaluate.select_by) == (metric, (metric,))
    assert config.train.iterations == 5000
    check_best_metric(config)
    check_select_by(config)
    defaults = default_document(task)
    assert (defaults["train"]["best_metric"], defaults["evaluate"]["select_by"]) == (metric, [metric])
    named = decode(str(recipe), ["train.best_metric=box_AP50", "evaluate.select_by=[box_AP75]"])
    assert (named.train.best_metric, named.evaluate.select_by) == ("box_AP50", ("box_AP75",))


def test_a_task_that_is_declared_is_there():
    assert set(task_names()) == set(TASKS) == set(EVALUATORS)
    for name in task_names():
        assert load_task(name).name == name
        assert open_evaluator(name, "none", {1: "a"}, NOSE).prediction
        assert task_declaration(name).main_metric in task_declaration(name).metric_names


def test_lists_of_metrics_are_made_from_the_declarations():
    keypoints = ["keypoint_AP", "keypoint_AP50", "keypoint_PCK"]
    classes = ["accuracy", "joint_accuracy", "f1_macro"]
    objects = ["mask_AP", "box_AP", "dv_mAP", "EIR", "mask_AP50", "box_AP50"]
    assert listed_metrics() == [*objects, *keypoints, *classes]
    assert charted_metrics() == ["box_AP", "box_AP50", "mask_AP", "mask_AP50", *keypoints, *classes]
    assert [metric.name for metric in headline_metrics("object_detection")] == ["box_AP50", "EIR"]
    assert index_metrics("instance_segmentation") == ["mask_AP", "box_AP50", "mask_AP50", "dv_mAP", "EIR"]
    assert list(known_metrics(["instance_segmentation", "unknown"])) == ALL.split(", ")
    assert all(metric.higher_is_better and metric.title for metric in known_metrics().values())
