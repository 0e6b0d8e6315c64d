"""Every query of every method uses an index, on both engines, so that ten million images change nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest
from sqlalchemy import text

from sightline.database import (
    CategoryCount,
    DecisionRecord,
    ImageRecord,
    ModelRecord,
    PromotionRecord,
    RunRecord,
    VersionRecord,
    open_database,
)
from sightline.database.lineage_records import Named
from sightline.database.records import ModelUse
from sightline.database.registry import Database
from sightline.database.schema.tables import METADATA
from tests.database.conftest import empty_tables
from tests.database.plans import scans, statements

VERSION = VersionRecord("plates", "v1", "training", "plates_train_v1", "c" * 40, "d" * 32)
RUN = RunRecord("run-1", "plates", "{}", "a" * 64, "plates_ann_v1", "abc1234")
MODEL = ModelRecord("a" * 64, "file:///bucket/1", "instance_segmentation", "plates_train_v1", "run-1", "abc")
PROMOTION = PromotionRecord("plates", "mask_AP", MODEL.sha256, None, 0.5, None, "run-1")
DECISION = DecisionRecord(
    "mask_AP", "refused", MODEL.sha256, "b" * 64, 0.5, 0.6, -0.1, -0.2, 0.1, 0.2, 0.95, "it stays", "file:///bucket/2"
)

CALLS = {
    "versions": [(), ("plates",)],
    "version": [(VERSION.tag,)],
    "category_counts": [(VERSION.tag,)],
    "images": [(VERSION.tag,)],
    "runs": [()],
    "references": [()],
    "model": [(MODEL.sha256,)],
    "metrics": [(MODEL.sha256, VERSION.tag, "val")],
    "champion": [("plates", "mask_AP")],
    "promotions": [("plates", "mask_AP")],
    "register_version": [(VERSION, [], [])],
    "retire_version": [("plates_train_v119", VERSION.commit)],
    "dependents": [("plates_ann_v1", VERSION.tag)],
    "start_run": [(RUN,)],
    "finish_run": [("run-1", "succeeded")],
    "correct_run": [("run-1", "running", "stopped")],
    "find_runs": [(["run-1", "run-2"],)],
    "register_model": [(MODEL,)],
    "record_metrics": [(MODEL.sha256, VERSION.tag, "val", {"EIR": 0.5})],
    "record_uses": [("run-1", [ModelUse(MODEL.sha256, "selected", "mask_AP")])],
    "record_decisions": [("run-1", [DECISION])],
    "decisions": [("run-1",)],
    "named": [(VERSION.tag,), ("run-1",), ("run-11",), (MODEL.sha256,), (MODEL.sha256[:8],), (MODEL.uri,)],
    "lineage": [
        (Named("annotations", "plates_ann_v1"),),
        (Named("training", VERSION.tag),),
        (Named("run", "run-1"),),
        (Named("model", MODEL.sha256),),
    ],
    "selections": [(lambda database: database.runs(),)],
    "record_promotion": [(dataclasses.replace(PROMOTION, run_id="again"),)],
}
READ_WHOLE = {
    "versions": {"dataset_versions"},  # it lists this table
    "references": {"dataset_versions", "runs", "models", "promotions"},  # what garbage collection must leave alone
}
"""Tables that are small, a row a version, run or model, and asked for as a whole; never images and metrics."""


@pytest.fixture(scope="module", params=["sqlite", "mariadb"])
def filled(request, tmp_path_factory):
    """A few rows in every table: enough for an optimizer to prefer an index."""
    if request.param == "sqlite":
        url, engine = f"sqlite:///{tmp_path_factory.mktemp('plans')}/x.sqlite", None
    else:
        url, engine = request.getfixturevalue("mariadb_database")
    database = open_database(url)
    fill(database)
    yield database
    database.close()
    if engine is not None:
        empty_tables(engine)


def fill(database):
    for number in range(120):
        tags = {"tag": f"plates_train_v{number}", "parent_tag": f"plates_ann_v{number}"}
        version = dataclasses.replace(VERSION, version=f"v{number}", **tags)
        images = [ImageRecord("train", f"{i}.jpg", f"{i:064x}", i, 640, 480) for i in range(10)]
        database.register_version(version, images, [CategoryCount(f"c{i}", "train", 1, 1) for i in range(3)])
        run_id = f"run-{number}"
        database.start_run(dataclasses.replace(RUN, run_id=run_id, dataset_tag=tags["parent_tag"]))
        sha256 = MODEL.sha256 if number == 1 else f"{number:064x}"
        changes = {"sha256": sha256, "uri": f"file:///bucket/{number}", "training_tag": tags["tag"], "run_id": run_id}
        database.register_model(dataclasses.replace(MODEL, **changes))
        database.record_uses(run_id, [ModelUse(sha256, "selected", "mask_AP"), ModelUse(sha256, "best")])
        database.record_decisions(run_id, [DECISION])
        database.record_metrics(sha256, tags["tag"], "val", {"mask_AP": 0.5, "EIR": 0.5})
        changes = {"model_sha256": sha256, "metric": f"m{number % 4}", "run_id": run_id}
        database.record_promotion(dataclasses.replace(PROMOTION, **changes))
    database.record_promotion(PROMOTION)
    if database._engine.dialect.name != "sqlite":  # SQLite, not asked to count, takes every table for a large one
        with database._engine.begin() as connection:
            connection.execute(text(f"ANALYZE TABLE {', '.join(METADATA.tables)}"))


def test_every_method_is_looked_at():
    public = {name for name in vars(Database) if not name.startswith("_")}
    assert public - {"close"} <= set(CALLS)


@pytest.mark.parametrize("method", CALLS)
def test_every_statement_uses_an_index(filled, method):
    with statements(filled._engine) as found:
        for arguments in CALLS[method]:
            values = [value(filled) if callable(value) else value for value in arguments]
            result = getattr(filled, method)(*values)
            if isinstance(result, Iterator):
                list(result)
    assert found
    for statement, parameters in found:
        assert scans(filled._engine, statement, parameters) <= READ_WHOLE.get(method, set()), statement
