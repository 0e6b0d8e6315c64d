"""evaluate and test with metrics of a recipe's own: selection, gate, database, page."""

from __future__ import annotations

import sys
from contextlib import closing

import pytest

from sightline.database import open_database
from sightline.errors import DataError
from sightline.files import file_sha256
from sightline.steps import promote
from sightline.steps import test as testing
from tests.golden import raises

MODULE = """
def object_recall(truth, predictions):
    '''Share of the objects that were detected anywhere.'''
    found = {prediction.image_id: len(prediction) for prediction in predictions}
    true = {image["id"]: 0 for image in truth["images"]}
    for annotation in truth["annotations"]:
        true[annotation["image_id"]] += 1
    return {image: (min(found.get(image, 0), count), count) for image, count in true.items()}


def missing_error(truth, predictions):
    return len(truth["annotations"]) - sum(map(len, predictions))


def broken(truth, predictions):
    raise ValueError("no pixels")
"""


@pytest.fixture
def own_site(site, tmp_path, monkeypatch):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "metrics_of_site.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path / "own")
    monkeypatch.delitem(sys.modules, "metrics_of_site", raising=False)
    names = ", ".join(f"metrics_of_site:{name}" for name in ("object_recall", "missing_error", "broken"))
    site.settings = [f"evaluate.metrics=[{names}]"]
    return site


@pytest.mark.usefixtures("oracle")
def test_models_are_selected_by_own_metrics(own_site):
    good, poor = own_site.model(60), own_site.model(20)
    config = own_site.config("evaluate.select_by=[object_recall, missing_error, mask_AP]")

    result = promote.run(config, "code", own_site.trained(poor, good))

    assert {selection.metric: selection.sha256 for selection in result.selections} == dict.fromkeys(
        ["object_recall", "missing_error", "mask_AP"], file_sha256(good)
    )
    recall, missing, _ = result.selections
    assert recall.value == result.models[1].metrics["object_recall"] > result.models[0].metrics["object_recall"]
    assert missing.value == result.models[1].metrics["missing_error"] < result.models[0].metrics["missing_error"]
    assert "broken" not in result.models[0].metrics
    assert own_site.champion("object_recall")["sha256"] == file_sha256(good)
    section = own_site.sections(result.files, "last")["user-metrics"]
    assert "broken has no value" in section["lead"]
    assert section["rows"]["object_recall"]["value"] == recall.value
    with closing(open_database(config.database.url)) as database:
        assert database.metrics(file_sha256(good), "plates_train_v1", "val")["object_recall"] == recall.value

    tested = testing.run(config, "code", result)

    assert 0 < tested.models[0].metrics["object_recall"] < 1
    assert "user-metrics" in own_site.sections(tested.files, tested.models[0].name)


@pytest.mark.usefixtures("oracle")
def test_a_better_model_replaces_the_champion_by_an_error(own_site):
    first, better = own_site.model(20), own_site.model(60)
    config = own_site.config("evaluate.select_by=[missing_error]", "evaluate.gate.confidence=0")
    promote.run(config, "code", own_site.trained(first))

    [selection] = promote.run(config, "code", own_site.trained(better)).selections

    assert selection.promoted
    assert selection.value < selection.previous_value
    [back] = promote.run(config, "code", own_site.trained(first)).selections
    assert not back.promoted


@pytest.mark.usefixtures("oracle")
def test_the_gate_has_intervals_of_ratios_only(own_site):
    first, better = own_site.model(20), own_site.model(90)
    settings = ["evaluate.select_by=[object_recall, missing_error]", "evaluate.gate.floors={object_recall: 0.05}"]
    promote.run(own_site.config(*settings), "code", own_site.trained(first))

    recall, missing = promote.run(own_site.config(*settings), "code", own_site.trained(better)).selections

    assert recall.gate.low <= recall.gate.difference <= recall.gate.high
    assert recall.gate.difference == pytest.approx(recall.value - recall.previous_value)
    assert missing.gate.low is None


@pytest.mark.usefixtures("oracle")
def test_selecting_by_a_metric_that_fails_names_it(own_site):
    with raises(DataError, "broken", "ValueError: no pixels", "evaluate.select_by"):
        promote.run(own_site.config("evaluate.select_by=[broken]"), "code", own_site.trained(own_site.model(50)))


@pytest.mark.usefixtures("oracle")
def test_a_change_of_the_code_is_measured_again(own_site, tmp_path, monkeypatch):
    config, train = own_site.config("evaluate.select_by=[object_recall]"), own_site.trained(own_site.model(50))
    first = promote.run(config, "code", train)
    assert promote.run(config, "code", train).files == first.files

    changed = MODULE.replace("(min(found.get(image, 0), count), count)", "(count, count)")
    (tmp_path / "own" / "metrics_of_site.py").write_text(changed)
    monkeypatch.delitem(sys.modules, "metrics_of_site")
    second = promote.run(config, "code", train)

    assert second.files != first.files
    assert second.models[0].metrics["object_recall"] == 1.0 > first.models[0].metrics["object_recall"]
