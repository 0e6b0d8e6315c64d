"""evaluate: who is measured, who wins, what lies in the bucket afterwards."""

from __future__ import annotations

import json
from contextlib import closing

import pytest
import torch

from sightline.database import open_database
from sightline.errors import ConfigurationError, ModelFileError, StepError
from sightline.files import file_sha256
from sightline.registry.promotion import is_carried_out
from sightline.report.pages.summary import read_summary
from sightline.steps import evaluate, promote
from sightline.storage import open_storage
from sightline.tasks.classification.settings import Cnn
from tests.golden import raises


@pytest.mark.usefixtures("oracle")
def test_first_run_selects_the_best_candidate(site):
    good, poor = site.model(60), site.model(20)
    train = site.trained(poor, good)

    result = promote.run(site.config(), "code", train)

    assert [model.name for model in result.models] == ["best", "last"]
    assert [selection.metric for selection in result.selections] == ["mask_AP", "EIR"]
    for selection in result.selections:
        assert (selection.name, selection.sha256) == ("last", file_sha256(good))
        assert (selection.promoted, selection.previous_sha256, selection.previous_value) == (True, "", None)
        assert f"last is the first champion: {selection.metric}" in selection.reason
        assert site.champion(selection.metric)["sha256"] == file_sha256(good)
    poorer, better = result.models
    assert 0 < poorer.metrics["EIR"] < better.metrics["EIR"] < 1
    assert set(better.metrics) >= {"box_AP", "box_AP50", "box_AP75", "mask_AP", "mask_AP50", "dv_mAP", "EIR"}
    assert better.metrics["dv_mAP"] == pytest.approx(better.metrics["mask_AP50"])  # exact masks


@pytest.mark.usefixtures("oracle")
def test_what_lies_in_the_bucket(site):
    model = site.model(70)

    result = promote.run(site.config(), "code", site.trained(model))

    folder = site.folder / "bucket" / "evaluation" / "plates_train_v1" / "EIR"
    current = json.loads((folder / "CURRENT.json").read_text())
    assert current["sha256"] == file_sha256(model)
    selected = site.folder / "bucket" / current["folder"]
    assert (selected / "model.safetensors").as_uri() == result.selections[1].uri
    assert (selected / "model.safetensors").read_bytes() == model.read_bytes()
    manifest = json.loads((selected / "manifest.json").read_text())
    assert manifest["files"]["model.safetensors"]["size"] == model.stat().st_size
    assert {path.name for path in selected.iterdir()} == {*manifest["files"], "manifest.json"}
    (summary,) = selected.glob("summary-*.json")
    assert json.loads(summary.read_text())["selections"][0]["metric"] == "EIR"


@pytest.mark.usefixtures("oracle")
def test_summary_is_what_the_page_reads(site):
    result = promote.run(site.config(), "code", site.trained(site.model(60), site.model(20)))

    document = site.summary(result.files)
    summary = read_summary(site.folder / "bucket" / result.files.partition("/bucket/")[2])
    assert (summary.split, summary.training_tag) == ("val", "plates_train_v1")
    best = document["models"]["best"]
    assert best["metrics"] == result.models[0].metrics
    sections = site.sections(result.files)
    rows, readings = sections["classes"]["rows"], sections["readings"]
    assert set(rows) == set(document["classes"])
    read, missed, _ = (number["value"] for number in readings["numbers"])
    assert rows["r_board"]["instances"] + rows["l_board"]["instances"] == read + missed
    assert {len(curve) for curve in sections["curves"]["lines"]["mask"].values()} == {101}
    labels, matrix = sections["confusion"]["labels"], sections["confusion"]["matrix"]
    assert labels == [*document["classes"], "background"]
    assert len(matrix) == len(labels) == len(matrix[0])
    assert read / (read + missed) == best["metrics"]["EIR"]
    wrong = [example for example in readings["examples"] if not example["right"]]
    assert wrong
    assert all(example["truth"] for example in wrong)
    assert document["score_threshold"] == site.config().evaluate.score_threshold
    curve = sections["confidence"]["charts"][0]["lines"]
    assert len(curve["F1"]) == 101
    right = sum(matrix[index][index] for index in range(len(labels) - 1))
    truths = sum(row["instances"] for row in rows.values())
    assert curve["recall"][50] == round(right / truths, 5)
    assert len(summary.drawn) == 2 * 2
    first, other = (summary.drawn[start : start + 2] for start in (0, 2))
    assert sum(item.mistakes for item in first) >= sum(item.mistakes for item in other)
    left_out = [(item.mistakes - 1, item.remark.text) for item in first]  # the oracle leaves whole images out
    assert any(text == f"{count} missed, plate misread ({count} objects)" for count, text in left_out)
    for item in summary.drawn:
        assert summary.file(item.truth)
        assert summary.file(item.prediction)
    assert len({item.prediction for item in summary.drawn}) == 4
    assert result.selections[0].reason in (summary.folder / "report.html").read_text()


@pytest.mark.usefixtures("oracle")
def test_the_story_of_a_champion(site):
    first, worse, better = site.model(50), site.model(20, version="v2"), site.model(90, version="v2")
    promote.run(site.config(), "code", site.trained(first))

    kept = promote.run(site.config(), "code", site.trained(worse, version="v2"))

    assert [model.name for model in kept.models] == ["best", "champion"]
    for selection in kept.selections:
        assert (selection.name, selection.promoted) == ("champion", False)
        assert selection.sha256 == selection.previous_sha256 == file_sha256(first)
        assert selection.value == selection.previous_value
        assert "the champion of plates_train_v1 stays" in selection.reason
        assert "/evaluation/plates_train_v2/" in selection.uri
    assert site.champion("EIR")["sha256"] == file_sha256(first)

    replaced = promote.run(site.config(), "code", site.trained(worse, better, version="v2"))

    for selection in replaced.selections:
        assert (selection.name, selection.promoted) == ("last", True)
        assert selection.previous_sha256 == file_sha256(first)
        assert selection.value > selection.previous_value
        assert f"last beats the champion of plates_train_v1: {selection.metric}" in selection.reason
    pointer = site.champion("EIR")
    assert (pointer["sha256"], pointer["previous_sha256"]) == (file_sha256(better), file_sha256(first))
    with closing(open_database(site.config().database.url)) as database:
        row = database.champion("plates", "EIR")
        assert row.record.model_sha256 == file_sha256(better)
        assert row.record.previous_sha256 == file_sha256(first)
        assert database.metrics(file_sha256(first), "plates_train_v2", "val")["EIR"] == row.record.previous_value


@pytest.mark.usefixtures("oracle")
def test_ties_and_small_improvements_keep_the_champion(site):
    first, same, better = site.model(50), site.model(50, seed=1), site.model(90)
    promote.run(site.config(), "code", site.trained(first))

    tied = promote.run(site.config(), "code", site.trained(same))
    little = promote.run(site.config("evaluate.min_improvement=0.9"), "code", site.trained(better))

    for result in (tied, little):
        assert {selection.sha256 for selection in result.selections} == {file_sha256(first)}
    assert "the same as the best candidate" in tied.selections[0].reason
    assert "probability of being better by more than 0.9" in little.selections[0].reason


@pytest.mark.usefixtures("oracle")
def test_done_again_nothing_changes(site, monkeypatch):
    train = site.trained(site.model(50))
    first = promote.run(site.config(), "code", train)
    before = site.champion("EIR")
    monkeypatch.setattr(evaluate, "open_evaluator", None)

    assert promote.run(site.config(), "code", train) == first
    assert site.champion("EIR") == before


@pytest.mark.usefixtures("oracle")
def test_what_is_carried_out_need_not_be_promoted(site):
    config = site.config()
    train = site.trained(site.model(50))
    storage = open_storage(config.storage.uri)
    decision = evaluate.run(config, "code", train)
    assert not is_carried_out(config, "plates", storage, decision)
    promote.run(config, "code", train)
    assert is_carried_out(config, "plates", storage, decision)
    elsewhere = site.config(f"database.url=sqlite:///{site.folder / 'new.sqlite'}")  # killed before the row was written
    assert not is_carried_out(elsewhere, "plates", storage, decision)


@pytest.mark.usefixtures("oracle")
def test_a_decision_against_a_former_champion_is_made_anew(site):
    poor, good = site.trained(site.model(20)), site.trained(site.model(80))
    assert promote.run(site.config(), "code", poor).selections[0].promoted
    assert promote.run(site.config(), "code", good).selections[0].promoted

    again = promote.run(site.config(), "code", poor)

    assert [selection.name for selection in again.selections] == ["champion", "champion"]
    assert site.champion("EIR")["sha256"] == good.candidates[0].sha256


@pytest.mark.usefixtures("oracle")
def test_another_run_that_wins_in_between_is_compared_with(site, monkeypatch):
    mine, other = site.trained(site.model(50)), site.trained(site.model(80))
    publish = evaluate.publish_result
    pending = [lambda: promote.run(site.config(), "other code", other)]

    def publish_then_lose(*arguments, **options):
        result = publish(*arguments, **options)
        if pending:
            pending.pop()()
        return result

    monkeypatch.setattr(evaluate, "publish_result", publish_then_lose)
    result = promote.run(site.config(), "code", mine)

    assert not result.selections[0].promoted
    assert site.champion("EIR")["sha256"] == other.candidates[0].sha256


@pytest.mark.usefixtures("oracle")
def test_promote_measures_a_faster_champion_without_the_gpu_that_evaluate_had(site, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    mine, other = site.trained(site.model(50)), site.trained(site.model(80))
    config = site.config("train.device=cuda")
    assert evaluate.run(config, "code", mine, device="cpu").selections[0].promoted  # as on a node with a GPU
    promote.run(site.config(), "other code", other)
    with raises(ConfigurationError, "GPU"):
        evaluate.run(config, "code", mine)
    result = promote.run(config, "code", mine)
    assert not result.selections[0].promoted
    assert result.selections[0].previous_sha256 == other.candidates[0].sha256
    assert site.champion("EIR")["sha256"] == other.candidates[0].sha256


@pytest.mark.usefixtures("oracle")
def test_equal_candidates_are_measured_once_and_the_first_wins(site):
    model = site.model(50)

    result = promote.run(site.config(), "code", site.trained(model, model))

    assert [model.name for model in result.models] == ["best", "last"]
    assert result.models[0].metrics == result.models[1].metrics
    assert {selection.name for selection in result.selections} == {"best"}
    assert {item["model"] for item in site.summary(result.files)["drawn"]} == {"best"}


@pytest.mark.usefixtures("oracle")
def test_different_champions_by_metric_have_different_names(site):
    promote.run(site.config("evaluate.select_by=[EIR]"), "code", site.trained(site.model(30)))
    promote.run(site.config("evaluate.select_by=[mask_AP]"), "code", site.trained(site.model(40)))

    result = promote.run(site.config(), "code", site.trained(site.model(10)))

    assert [model.name for model in result.models] == ["best", "champion (mask_AP)", "champion (EIR)"]
    assert {s.metric: s.name for s in result.selections} == {
        "mask_AP": "champion (mask_AP)",
        "EIR": "champion (EIR)",
    }


def test_a_candidate_of_other_classes_or_another_task_is_refused(site):
    other = site.model(50, classes=("car", "tree"), category_ids=(1, 2))
    with raises(ModelFileError):
        promote.run(site.config(), "code", site.trained(other))
    other = site.model(50, task="classification", architecture=Cnn(), seed=1)
    with raises(ModelFileError, "instance_segmentation"):
        promote.run(site.config(), "code", site.trained(other))
    assert not (site.folder / "bucket").exists()


def test_a_replaced_or_missing_model_file_is_refused(site):
    model = site.model(50)
    train = site.trained(model)
    model.write_bytes(site.model(60).read_bytes())
    with raises(ModelFileError, "sha256"):
        promote.run(site.config(), "code", train)
    model.unlink()
    with raises(StepError):
        promote.run(site.config(), "code", train)


def test_metrics_that_nobody_computes_are_refused_before_any_work(site):
    train = site.trained(site.model(50))
    with raises(ConfigurationError, "mAP"):
        promote.run(site.config("evaluate.select_by=[mAP]"), "code", train)
    with raises(ConfigurationError, "evaluate.minimum", "mAP"):
        promote.run(site.config("evaluate.minimum={mAP: 0.5}"), "code", train)
    with raises(ConfigurationError):
        promote.run(site.config("reading=none"), "code", train)
    assert not (site.folder / "work" / "evaluate").exists()


def test_without_candidates_train_must_run_again(site):
    with raises(StepError):
        promote.run(site.config(), "code", site.trained())


def test_a_real_network_is_inferred(site):
    result = promote.run(site.config("evaluate.select_by=[mask_AP]"), "code", site.trained(site.model(0)))

    assert 0.0 <= result.models[0].metrics["mask_AP"] <= 1.0
    kept = list((site.folder / "work" / "evaluate").glob("*/detections-*.json"))
    assert len(json.loads(kept[0].read_text())["images"]) == site.summary(result.files)["images"]
