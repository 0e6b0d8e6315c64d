"""A network that breaks during a commit, or is gone for a while: everything is recorded once."""

from __future__ import annotations

import dataclasses
import re

import pytest
from sqlalchemy import make_url, text

from sightline.database import (
    CategoryCount,
    ImageRecord,
    ModelRecord,
    PromotionRecord,
    RunRecord,
    VersionRecord,
    open_database,
)
from sightline.database.engine import retry, server
from sightline.database.engine.address import shown
from sightline.errors import DatabaseError
from tests.database.conftest import empty_tables
from tests.golden import raises
from tests.servers.broken_network import ANSWER_LATE, ANSWER_LOST, COMMIT_LOST, BrokenNetwork

VERSION = VersionRecord("plates", "v1", "training", "plates_train_v1", "c" * 40, "d" * 32)
IMAGES = [ImageRecord("train", f"{i}.jpg", f"{i:064x}", i, 640, 480) for i in range(1_200)]
COUNTS = [CategoryCount("a", "train", 1, 1)]
RUN = RunRecord("run-1", "plates", "{}", "a" * 64, "plates_ann_v1", "abc1234")
MODEL = ModelRecord("a" * 64, "file:///bucket/a", "instance_segmentation", "t_train_v1", None, "abc")
PROMOTION = PromotionRecord("plates", "mask_AP", MODEL.sha256, None, 0.5, None, "run-1")


@pytest.fixture
def network(mariadb_database, monkeypatch):
    monkeypatch.setattr(retry, "FIRST_DELAY_SECONDS", 0.02)
    network = BrokenNetwork(make_url(mariadb_database[0]).port)
    yield network
    network.down()


@pytest.fixture
def url(mariadb_database, network):
    """Through the network, to tables that are emptied afterwards by a straight way."""
    url, engine = mariadb_database
    yield shown(make_url(url).set(port=network.port, query={"ssl_mode": "disabled", "statement_timeout": "2"}))
    empty_tables(engine)


def register_version(database):
    database.register_version(VERSION, IMAGES, COUNTS)


def start_run(database):
    database.start_run(RUN)


def register_model(database):
    database.register_model(MODEL)


def record_metrics(database):
    database.record_metrics(MODEL.sha256, "t_train_v1", "val", {"EIR": 0.5, "mask_AP": 0.25})


def promote(database):
    database.record_promotion(PROMOTION)


COUNT = """SELECT
(SELECT count(*) FROM dataset_versions WHERE state = 'published'), (SELECT count(*) FROM images),
(SELECT count(*) FROM category_counts), (SELECT count(*) FROM runs), (SELECT count(*) FROM models),
(SELECT count(*) FROM metrics), (SELECT count(*) FROM promotions)"""

ADDS = {
    register_version: (1, 1_200, 1, 0, 0, 0, 0),
    start_run: (0, 0, 0, 1, 0, 0, 0),
    register_model: (0, 0, 0, 0, 1, 0, 0),
    record_metrics: (0, 0, 0, 0, 1, 2, 0),
    promote: (0, 0, 0, 0, 1, 0, 1),
}


@pytest.mark.parametrize("fault", [ANSWER_LOST, COMMIT_LOST])
@pytest.mark.parametrize("operation", ADDS, ids=lambda operation: operation.__name__)
def test_a_commit_whose_outcome_is_unknown(network, url, mariadb_database, operation, fault, monkeypatch, caplog):
    monkeypatch.setattr(server, "IDLE_SECONDS", 1)  # after which the server forgets a client that fell silent
    database = open_database(url)
    if operation in {record_metrics, promote}:
        register_model(database)
    network.commit_faults = [fault]
    operation(database)
    assert network.commit_faults == []
    assert "waiting for the database" in caplog.text
    assert counts(mariadb_database) == ADDS[operation]
    database.close()


def test_an_answer_to_a_commit_is_not_awaited_for_ever(network, url, mariadb_database, monkeypatch):
    monkeypatch.setattr(server, "HANG_UP_SECONDS", 0.5)
    database = open_database(url)
    network.commit_faults = [ANSWER_LATE]
    register_version(database)
    assert network.commit_faults == []
    assert counts(mariadb_database) == ADDS[register_version]
    database.close()


def counts(mariadb_database):
    with mariadb_database[1].connect() as connection:
        return tuple(connection.execute(text(COUNT)).one())


def test_a_champion_that_was_replaced_before_the_answer_was_missed(network, url, mariadb_database):
    database, other = open_database(url), open_database(mariadb_database[0])
    second = dataclasses.replace(MODEL, sha256="b" * 64)
    for model in (MODEL, second):
        other.register_model(model)
    first = dataclasses.replace(PROMOTION, sequence=1)
    then = dataclasses.replace(
        PROMOTION, model_sha256=second.sha256, previous_sha256=MODEL.sha256, run_id="run-2", sequence=2
    )
    network.commit_faults, network.meanwhile = [ANSWER_LOST], lambda: other.record_promotion(then)
    database.record_promotion(first)
    assert network.commit_faults == []
    assert other.champion("plates", "mask_AP").model == second
    assert counts(mariadb_database)[-1] == 2
    database.close()
    other.close()


def test_a_network_that_is_gone_for_a_while(network, url, caplog):
    database = open_database(url)
    start_run(database)
    with network.gone_for(1.5):
        register_version(database)
    assert re.search(
        r"register plates_train_v1: waiting for the database \(.*\); attempt \d+ failed, trying for \d+ s more",
        caplog.text,
    )
    assert len(list(database.images(VERSION.tag))) == 1_200
    database.close()


def test_a_network_that_stays_away_is_one_error(network, url, monkeypatch):
    database = open_database(url)
    monkeypatch.setattr(retry, "RETRY_SECONDS", 0.3)
    network.down()
    with raises(DatabaseError, "run-1"):
        start_run(database)
    network.up()
    start_run(database)
    assert [row.record for row in database.runs()] == [RUN]
    database.close()
