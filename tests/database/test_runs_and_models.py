"""Runs, models, metrics and champions."""

from __future__ import annotations

import dataclasses
import multiprocessing
from datetime import UTC, datetime, timedelta

import pytest

from sightline.database import DecisionRecord, ModelRecord, PromotionRecord, RunRecord, open_database
from sightline.errors import DatabaseError
from tests.golden import raises

RUN = RunRecord("run-1", "plates", '{"task": "é"}', "a" * 64, "plates_ann_v1", "abc1234")
MODELS = [ModelRecord(c * 64, f"file:///bucket/{c}", "instance_segmentation", "t_train_v1", None, "abc") for c in "abc"]
A, B, C = (model.sha256 for model in MODELS)


@pytest.fixture
def scored(database):
    for model in MODELS:
        database.register_model(model)
    return database


def promotion(model, previous=None, run_id="run-1", **changes):
    record = PromotionRecord("plates", "mask_AP", model, previous, 0.5, None if previous is None else 0.4, run_id)
    return dataclasses.replace(record, **changes)


def test_a_run_begins_and_ends(database):
    assert database.runs() == []
    database.start_run(RUN)
    (row,) = database.runs()
    assert (row.record, row.state, row.finished_at, row.message) == (RUN, "running", None, "")
    assert abs(row.started_at - datetime.now(UTC)) < timedelta(minutes=1)
    database.finish_run("run-1", "failed", "the disk is full")
    (row,) = database.runs()
    assert (row.state, row.message) == ("failed", "the disk is full")
    assert row.finished_at >= row.started_at


def test_a_run_goes_on_with_the_same_configuration_only(database):
    database.start_run(RUN)
    database.finish_run("run-1", "failed", "killed")
    database.start_run(RUN)
    (row,) = database.runs()
    assert (row.state, row.finished_at, row.message) == ("running", None, "")
    with raises(DatabaseError, "run-1"):
        database.start_run(dataclasses.replace(RUN, configuration_digest="b" * 64))


def test_the_latest_runs_come_first(database):
    for number in range(5):
        database.start_run(dataclasses.replace(RUN, run_id=f"run-{number}"))
    assert [row.record.run_id for row in database.runs(limit=2)] == ["run-4", "run-3"]


def test_long_messages_are_cut_and_long_configurations_refused(database):
    database.start_run(RUN)
    database.finish_run("run-1", "failed", "é" * 5_000)
    assert database.runs()[0].message == "é" * 3_999 + "…"
    with raises(DatabaseError, "runs.configuration", "70000", "65535"):
        database.start_run(dataclasses.replace(RUN, run_id="run-2", configuration="x" * 70_000))


def test_only_a_known_run_ends(database):
    with raises(DatabaseError):
        database.finish_run("none", "succeeded")


def test_the_first_record_of_a_model_stays(database):
    assert database.model(A) is None
    first = dataclasses.replace(MODELS[0], run_id="run-1")
    database.register_model(first)
    database.register_model(ModelRecord(A, "file:///elsewhere", "other", "t_train_v2", "run-2", "def"))
    assert database.model(A) == first


def test_what_was_not_known_of_a_model_is_filled_in(database):
    known = dataclasses.replace(MODELS[0], run_id="run-1")
    database.register_model(dataclasses.replace(known, run_id=None, code_rev="", training_tag=""))
    database.register_model(dataclasses.replace(known, run_id=None))
    assert database.model(A) == dataclasses.replace(known, run_id=None)
    database.register_model(known)
    database.register_model(dataclasses.replace(known, run_id="run-2", code_rev=""))
    assert database.model(A) == known


def test_metrics_are_replaced_one_by_one(scored):
    scored.record_metrics(A, "t_train_v1", "val", {"mask_AP": 0.5, "EIR": 1 / 3})
    scored.record_metrics(A, "t_train_v1", "val", {"mask_AP": 0.625})
    scored.record_metrics(A, "t_train_v1", "test", {"mask_AP": 0.25})
    assert scored.metrics(A, "t_train_v1", "val") == {"EIR": 1 / 3, "mask_AP": 0.625}
    assert scored.metrics(A, "t_train_v1", "test") == {"mask_AP": 0.25}
    assert scored.metrics(B, "t_train_v1", "val") == {}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_metric_is_a_finite_number(scored, value):
    with raises(DatabaseError, "metrics.value"):
        scored.record_metrics(A, "t_train_v1", "val", {"EIR": 0.5, "mask_AP": value})
    assert scored.metrics(A, "t_train_v1", "val") == {}


def test_metrics_and_promotions_need_a_registered_model(scored):
    with raises(DatabaseError):
        scored.record_metrics("f" * 64, "t_train_v1", "val", {"EIR": 0.5})
    with raises(DatabaseError):
        scored.record_promotion(promotion("f" * 64))
    with raises(DatabaseError):
        scored.record_promotion(promotion(A, "f" * 64))
    assert scored.champion("plates", "mask_AP") is None


def test_the_last_promotion_names_the_champion(scored):
    scored.record_promotion(promotion(A))
    first = scored.champion("plates", "mask_AP")
    assert (first.record, first.model) == (promotion(A, sequence=1), MODELS[0])
    scored.record_promotion(promotion(B, A, "run-2"))
    second = scored.champion("plates", "mask_AP")
    assert (second.record, second.model) == (promotion(B, A, "run-2", sequence=2), MODELS[1])
    assert abs(second.promoted_at - datetime.now(UTC)) < timedelta(minutes=1)
    assert scored.champion("plates", "EIR") is None
    assert scored.champion("Plates", "mask_AP") is None


def test_a_repeated_promotion_changes_nothing(scored):
    scored.record_promotion(promotion(A, sequence=1))
    scored.record_promotion(promotion(B, A, "run-2", sequence=2))
    champion = scored.champion("plates", "mask_AP")
    scored.record_promotion(promotion(A, sequence=1))  # the first run, again and late
    scored.record_promotion(promotion(B, A, "run-2", sequence=2))  # the second run, again
    scored.record_promotion(promotion(C, A, "run-5", sequence=2))  # its number is taken
    scored.record_promotion(promotion(B, A, "run-3"))  # another run that finds the champion in place
    assert scored.champion("plates", "mask_AP") == champion


def test_a_model_becomes_champion_again_by_the_same_run(scored):
    scored.record_promotion(promotion(A, sequence=1))
    scored.record_promotion(promotion(B, A, "run-2", sequence=2))
    scored.record_promotion(promotion(A, B, sequence=3))
    latest = scored.champion("plates", "mask_AP")
    assert (latest.model, latest.record.sequence, latest.record.run_id) == (MODELS[0], 3, "run-1")
    scored.record_promotion(promotion(C, A, "run-4"))
    assert scored.champion("plates", "mask_AP").record.sequence == 4


def test_a_number_below_the_latest_fills_the_history_alone(scored):
    scored.record_promotion(promotion(B, A, "run-2", sequence=7))
    scored.record_promotion(promotion(A, sequence=3))
    assert scored.champion("plates", "mask_AP").model == MODELS[1]
    found = scored.lineage(scored.named(A, ["model"])).promotions
    assert [(one.sequence, one.replaced_by) for one in found] == [(3, B), (7, None)]


def test_tasks_have_champions_of_their_own(scored):
    scored.record_promotion(promotion(A))
    scored.record_promotion(promotion(B, task="keypoints"))
    scored.record_promotion(promotion(C, task="keypoints", run_id="run-2"))
    assert scored.champion("plates", "mask_AP").model == MODELS[0]
    other = scored.champion("plates", "mask_AP", "keypoints")
    assert (other.model, other.record.sequence, other.record.task) == (MODELS[2], 2, "keypoints")
    (first,) = scored.lineage(scored.named(A, ["model"])).promotions
    assert (first.task, first.replaced_by) == ("instance_segmentation", None)


def test_promotions_go_by_dataset_and_metric(scored):
    scored.record_promotion(promotion(A))
    scored.record_promotion(promotion(B, metric="EIR"))
    scored.record_promotion(promotion(C, dataset="signs"))
    found = [scored.champion(*key).model for key in (("plates", "mask_AP"), ("plates", "EIR"), ("signs", "mask_AP"))]
    assert found == MODELS


def promote(url, barrier, number):
    database = open_database(url)
    barrier.wait(timeout=60)
    database.record_promotion(promotion(MODELS[number % 3].sha256, run_id=f"run-{number}"))


def test_promotions_of_several_processes_are_numbered(url, scored):
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(6)
    processes = [context.Process(target=promote, args=(url, barrier, number)) for number in range(6)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 6
    assert scored.champion("plates", "mask_AP").model in MODELS


def test_what_a_run_decided_is_kept_by_metric_and_replaced_when_it_decides_again(database):
    refused = DecisionRecord(
        "mask_AP", "refused", A, B, 0.5, 0.6, -0.1, -0.21, 0.013, 0.2, 0.975, "the champion stays: Maße", "gs://b/e/1"
    )
    first = DecisionRecord("EIR", "promoted", A, "", 0.5, None, None, None, None, None, None, "the first", "gs://b/e/1")
    database.record_decisions("run-1", [refused, first])
    database.record_decisions("run-2", [first])
    assert database.decisions("run-1") == [first, refused]
    again = dataclasses.replace(refused, outcome="promoted", champion_sha256=C, difference=0.2, reason="it is better")
    database.record_decisions("run-1", [again])
    assert database.decisions("run-1") == [first, again]
    assert database.decisions("run-2") == [first]
    assert database.decisions("run-3") == []
    with raises(DatabaseError, "decisions.evidence"):
        database.record_decisions("run-1", [dataclasses.replace(refused, evidence="x" * 2000)])
    assert database.decisions("run-1") == [first, again]
