"""The latest promotion of the database is the pointer of the bucket, whoever moved it and whatever was killed."""

from __future__ import annotations

import json
import logging
from contextlib import closing
from dataclasses import replace

import pytest
from sqlalchemy import select

from sightline.database import open_database
from sightline.database.engine.connection import connect
from sightline.database.schema.tables import PROMOTIONS
from sightline.database.schema.upgrade import upgrade
from sightline.files import file_sha256
from sightline.registry import champion_changes, promotion
from sightline.registry.champions import ChampionPointer, read_champion, write_champion
from sightline.registry.promotion import follow_pointer
from sightline.registry.promotion import promote as carry_out
from sightline.steps import evaluate, promote
from sightline.storage import open_storage
from tests.servers.mariadb import new_database

METRIC = "mask_AP"
SELECT = f"evaluate.select_by=[{METRIC}]"


@pytest.fixture(params=["sqlite", "mariadb"])
def here(request, site):
    """A site whose database is SQLite or a MariaDB server."""
    site.settings.append(SELECT)
    if request.param == "sqlite":
        yield site
        return
    with new_database(request.getfixturevalue("mariadb_server")) as url:
        engine = connect(url)
        upgrade(engine)
        engine.dispose()
        site.settings.append(f"database.url={url}")
        yield site


def pointer(site):
    return read_champion(open_storage(site.config().storage.uri), "plates", METRIC)[0]


def history(site):
    """The champions in the order of their promotions, and the latest as the database tells it."""
    with closing(open_database(site.config().database.url)) as database:
        row = database.champion("plates", METRIC)
        if row is None:
            return [], None
        with database._engine.connect() as connection:
            found = connection.execute(select(PROMOTIONS).order_by(PROMOTIONS.c.sequence)).all()
    return [(one.sequence, one.run_id) for one in found], row.record


def agree(site):
    found = pointer(site)
    latest = history(site)[1]
    assert (latest.model_sha256, latest.sequence >= found.sequence) == (found.sha256, True)
    return latest


def run(site, model, run_id, monkeypatch, version="v1"):
    monkeypatch.setenv("SIGHTLINE_RUN_ID", run_id)
    return promote.run(site.config(), "code", site.trained(model, version=version))


def look(site, model, run_id, monkeypatch):
    """A run that wins nothing: its graph has no promote."""
    monkeypatch.setenv("SIGHTLINE_RUN_ID", run_id)
    return evaluate.run(site.config(), "code", site.trained(model))


@pytest.mark.usefixtures("oracle")
def test_there_and_back_again_by_the_same_run(here, monkeypatch):
    """On v1 a is better, on v2 b: the run of a, resumed, promotes a again."""
    a, b = here.model(50), here.model(90, version="v2")
    run(here, a, "run-a", monkeypatch)
    first = agree(here)
    run(here, b, "run-b", monkeypatch, version="v2")
    agree(here)
    storage = open_storage(here.config().storage.uri)
    decision = replace_decision(here, first, pointer(here))

    with monkeypatch.context() as patched:
        patched.setenv("SIGHTLINE_RUN_ID", "run-a")
        carry_out(here.config(), "plates", storage, decision)

    latest = agree(here)
    assert (latest.model_sha256, latest.sequence, latest.run_id) == (first.model_sha256, 3, "run-a")
    rows, _ = history(here)
    assert rows == [(1, "run-a"), (2, "run-b"), (3, "run-a")]
    carry_out(here.config(), "plates", storage, decision)
    assert history(here)[0] == rows


def replace_decision(site, first, present):
    """The decision of the run of a, made again against b."""
    train = site.trained(site.model(50))
    result = evaluate.run(site.config(), "code", train)
    (selection,) = result.selections
    own = next(model for model in result.models if model.sha256 == first.model_sha256)
    won = replace(
        selection,
        uri=own.uri,
        sha256=own.sha256,
        name=own.name,
        value=1.0,
        previous_sha256=present.sha256,
        previous_value=0.5,
        promoted=True,
    )
    return replace(result, selections=[won])


@pytest.mark.usefixtures("oracle")
def test_a_decision_is_logged_by_evaluate_alone(here, monkeypatch, caplog):
    caplog.set_level(logging.INFO, "sightline")
    a = here.model(50)
    (selection,) = look(here, a, "run-a", monkeypatch).selections
    run(here, a, "run-a", monkeypatch)
    assert caplog.messages.count(f"{selection.metric}: {selection.reason}") == 1


@pytest.mark.usefixtures("oracle")
def test_a_promotion_that_was_killed_is_completed_by_the_next_run(here, monkeypatch):
    run(here, here.model(30), "run-a", monkeypatch)

    def die(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(champion_changes, "_record", die)
        with pytest.raises(KeyboardInterrupt):
            run(here, here.model(50), "run-b", monkeypatch)
    assert history(here)[1].model_sha256 != pointer(here).sha256

    look(here, here.model(40), "run-c", monkeypatch)

    latest = agree(here)
    assert (latest.run_id, latest.sequence, latest.previous_value) == ("run-b", 2, pointer(here).previous_value)
    run(here, here.model(50), "run-b", monkeypatch)
    assert [number for number, *_ in history(here)[0]] == [1, 2]


@pytest.mark.usefixtures("oracle")
def test_a_row_that_comes_late_does_not_become_the_latest(here, monkeypatch):
    record, late = champion_changes._record, []
    with monkeypatch.context() as patched:
        patched.setattr(champion_changes, "_record", lambda *arguments: late.append(arguments))
        patched.setattr(promotion, "follow_pointer", lambda *arguments: None)
        run(here, here.model(30), "run-a", monkeypatch)
    run(here, here.model(60), "run-b", monkeypatch)
    with closing(open_database(here.config().database.url)) as database:
        for arguments in late:
            record(database, *arguments[1:])

    latest = agree(here)
    assert (latest.run_id, latest.sequence) == ("run-b", 2)
    assert history(here)[0] == [(1, "run-a"), (2, "run-b")]


@pytest.mark.usefixtures("oracle")
@pytest.mark.parametrize("restored", ["whole pointer", "pointer of an earlier release"])
def test_a_pointer_that_was_put_back_by_hand_is_a_promotion(here, monkeypatch, restored):
    run(here, here.model(30), "run-a", monkeypatch)
    path = here.folder / "bucket" / "champions" / "plates" / f"{METRIC}.json"
    before = json.loads(path.read_text())
    if restored == "pointer of an earlier release":
        before = {name: before[name] for name in before if name not in {"task", "sequence", "run_id", "previous_value"}}
    run(here, here.model(60), "run-b", monkeypatch)
    path.unlink()
    path.write_text(json.dumps(before))

    replaced = file_sha256(here.model(60))
    look(here, here.model(20), "run-c", monkeypatch)

    latest = agree(here)
    assert (latest.model_sha256, latest.sequence, latest.run_id) == (before["sha256"], 3, "")
    assert (latest.previous_sha256, latest.previous_value) == (replaced, None)
    run(here, here.model(70), "run-d", monkeypatch)
    latest = agree(here)
    assert (latest.run_id, latest.sequence, pointer(here).sequence) == ("run-d", 4, 4)


@pytest.mark.usefixtures("oracle")
def test_a_new_database_learns_who_is_and_was_champion(here, monkeypatch):
    run(here, here.model(30), "run-a", monkeypatch)
    run(here, here.model(60), "run-b", monkeypatch)
    here.settings.append(f"database.url=sqlite:///{here.folder / 'new.sqlite'}")

    look(here, here.model(20), "run-c", monkeypatch)

    agree(here)
    assert history(here)[0] == [(1, "run-a"), (2, "run-b")]


@pytest.mark.usefixtures("oracle")
def test_two_runs_that_move_the_pointer_at_once_leave_both_places_equal(here, monkeypatch):
    """Between the pointer and the row of one run, another run does both."""
    storage, record = open_storage(here.config().storage.uri), champion_changes._record
    pending = [here.model(80)]

    def overtaken(database, name, entry):
        if pending:
            monkeypatch.setenv("SIGHTLINE_RUN_ID", "run-b")
            promote.run(here.config(), "other code", here.trained(pending.pop()))
        record(database, name, entry)

    monkeypatch.setattr(champion_changes, "_record", overtaken)
    run(here, here.model(30), "run-a", monkeypatch)

    latest = agree(here)
    assert (latest.run_id, latest.sequence) == ("run-b", 2)
    with closing(open_database(here.config().database.url)) as database:
        follow_pointer(database, storage, "plates", METRIC, "instance_segmentation")
    assert history(here)[1] == latest


def test_a_sequence_that_was_taken_is_counted_on(here):
    """A pointer put back by hand was recorded while another run moved it on: both have the same number."""
    storage, database = open_storage(here.config().storage.uri), open_database(here.config().database.url)

    def pointer_of(name, sequence):
        return ChampionPointer(METRIC, name * 64, f"file:///{name}", "t", 0.5, "", "", sequence=sequence)

    with closing(database):
        write_champion(storage, "plates", pointer_of("a", 3), 0)
        follow_pointer(database, storage, "plates", METRIC, "instance_segmentation")
        generation = read_champion(storage, "plates", METRIC)[1]
        write_champion(storage, "plates", pointer_of("b", 3), generation)
        follow_pointer(database, storage, "plates", METRIC, "instance_segmentation")
        latest = database.champion("plates", METRIC).record
    assert (latest.model_sha256, latest.sequence, latest.previous_sha256) == ("b" * 64, 4, "a" * 64)
