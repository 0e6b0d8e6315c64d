"""Migrations, and what is said when the database does not fit."""

from __future__ import annotations

import dataclasses
import multiprocessing
import random
import time

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from sightline.database import open_database
from sightline.database.engine import retry
from sightline.database.engine.address import PASSWORD_VARIABLE, shown
from sightline.database.engine.connection import connect, write
from sightline.database.schema import upgrade as schema
from sightline.database.schema.tables import METADATA
from sightline.database.schema.upgrade import current_revision, differences, head_revision, require_current, upgrade
from sightline.errors import DatabaseError
from tests.golden import raises


def test_migrations_make_the_tables_that_the_code_expects(empty_url):
    engine = connect(empty_url)
    assert current_revision(engine) == ""
    assert sum("add_table" in difference for difference in differences(engine)) == len(METADATA.tables)
    upgrade(engine)
    assert current_revision(engine) == head_revision() == "0014"
    assert differences(engine) == []
    upgrade(engine)
    engine.dispose()


def test_files_are_named_as_alembic_knows_them():
    config = Config()
    config.set_main_option("script_location", schema.SCRIPTS)
    scripts = ScriptDirectory.from_config(config)
    assert [script.revision for script in scripts.walk_revisions()] == schema._known_revisions()
    assert scripts.get_current_head() == head_revision()


def test_an_upgrade_that_stopped_halfway_goes_on(own_url):
    engine = connect(own_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0003'"))
        connection.execute(text("DROP TABLE promotions"))
    upgrade(engine)
    require_current(engine)
    assert differences(engine) == []
    engine.dispose()


def test_promotions_of_before_tasks_are_kept(empty_url):
    engine = connect(empty_url)
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", schema.SCRIPTS)
        config.attributes["connection"] = connection
        command.upgrade(config, "0011")
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO models (id, sha256, uri, task, training_tag, code_rev, created_at) "
                "VALUES (1, 'a', 'u', 'instance_segmentation', 't', 'c', '2026-01-01 00:00:00')"
            )
        )
        for sequence in (1, 2):
            connection.execute(
                text(
                    "INSERT INTO promotions (dataset, metric, sequence, model_id, value, run_id, promoted_at) "
                    f"VALUES ('plates', 'EIR', {sequence}, 1, 0.5, 'run-{sequence}', '2026-01-01 00:00:00')"
                )
            )
    upgrade(engine)
    assert differences(engine) == []
    engine.dispose()
    database = open_database(empty_url)
    record = database.champion("plates", "EIR").record
    assert (record.sequence, record.run_id, record.task) == (2, "run-2", "instance_segmentation")
    database.record_promotion(dataclasses.replace(record, sequence=3))  # by the same run again
    assert database.champion("plates", "EIR").record.sequence == 3
    database.close()


def test_a_table_changed_by_hand_is_found(own_url):
    engine = connect(own_url)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE runs ADD COLUMN note INTEGER"))
    (difference,) = differences(engine)
    assert "note" in difference
    engine.dispose()


def upgrade_in_process(url, barrier):
    engine = connect(url)
    barrier.wait(timeout=60)
    upgrade(engine)


def test_an_upgrade_that_was_killed_goes_on(empty_url):
    context, delays = multiprocessing.get_context("fork"), random.Random(0)
    for _ in range(4):
        barrier = context.Barrier(2)
        process = context.Process(target=upgrade_in_process, args=(empty_url, barrier))
        process.start()
        barrier.wait(timeout=60)
        time.sleep(delays.uniform(0.02, 0.3))
        process.kill()
        process.join()
    engine = connect(empty_url)
    upgrade(engine)
    require_current(engine)
    assert differences(engine) == []
    engine.dispose()


def test_an_older_schema_says_how_to_go_on(own_url):
    if own_url.startswith("sqlite"):
        pytest.skip("a SQLite file is upgraded without asking")
    engine = connect(own_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0003'"))
    with raises(DatabaseError, "0003", head_revision(), "--url"):
        open_database(own_url)
    upgrade(engine)
    open_database(own_url).close()
    engine.dispose()


def test_several_processes_upgrade_at_once(empty_url):
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(4)
    processes = [context.Process(target=upgrade_in_process, args=(empty_url, barrier)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    engine = connect(empty_url)
    assert differences(engine) == []
    engine.dispose()


def test_an_upgrade_waits_for_another_and_then_says_so(empty_url, monkeypatch):
    if empty_url.startswith("sqlite"):
        pytest.skip("SQLite's own lock is tested by its processes")
    monkeypatch.setattr(schema, "LOCK_SECONDS", 1)
    engine = connect(empty_url)
    with schema._alone(engine), raises(DatabaseError):
        upgrade(engine)
    upgrade(engine)
    require_current(engine)
    engine.dispose()


def test_a_newer_schema_is_refused(own_url):
    engine = connect(own_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with raises(DatabaseError, "9999"):
        open_database(own_url)
    with raises(DatabaseError, "9999"):
        upgrade(engine)
    engine.dispose()


def test_a_server_is_not_upgraded_unasked(empty_url):
    if empty_url.startswith("sqlite"):
        assert open_database(empty_url).versions() == []
        return
    with raises(DatabaseError, f"sightline db upgrade --url {empty_url}"):
        open_database(empty_url)


def test_the_password_comes_from_the_environment_and_shows_nowhere(empty_url, monkeypatch):
    if empty_url.startswith("sqlite"):
        pytest.skip("SQLite has no password")
    monkeypatch.setenv(PASSWORD_VARIABLE, "canary-wrong")
    with raises(DatabaseError, "SIGHTLINE_DATABASE_PASSWORD") as caught:
        open_database(empty_url)
    engine = connect(empty_url)
    assert "canary" not in str(caught.value) + shown(engine.url) + repr(engine)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense", "sqlite:"),
        ("postgresql://user@host/name", "postgresql"),
        ("mysql+mysqldb://user@host/name", "mysql+pymysql://"),
        ("mysql://user@host:3306", "mysql://user@host:3306"),
        ("sqlite://", "sqlite://"),
        ("sqlite:///:memory:", "memory"),
        ("sqlite:////x?timeout=5", "SQLite"),
    ],
)
def test_urls_that_cannot_be_used(url, message):
    with raises(DatabaseError, message):
        connect(url)


def test_a_missing_driver_names_the_extra(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with raises(DatabaseError):
        connect("mysql://user@host/name")


def test_a_database_that_must_exist(tmp_path):
    with raises(DatabaseError, "none.sqlite"):
        open_database(f"sqlite:///{tmp_path}/none.sqlite", create=False)


def test_a_file_that_is_no_database(tmp_path):
    (tmp_path / "notes.txt").write_text("not a database " * 100)
    with raises(DatabaseError):
        open_database(f"sqlite:///{tmp_path}/notes.txt")
    with raises(DatabaseError, "notes.txt"):
        open_database(f"sqlite:///{tmp_path}/notes.txt/sub/x.sqlite")


def test_a_server_that_is_not_there(monkeypatch, caplog):
    monkeypatch.setattr(retry, "RETRY_SECONDS", 0.5)
    with raises(DatabaseError, "mysql+pymysql://tester@127.0.0.1:9/t"):
        open_database("mysql+pymysql://tester@127.0.0.1:9/t")
    assert "read the schema's revision: waiting for the database ((2003, \"Can't connect" in caplog.text


def test_transient_faults_are_tried_again(tmp_path, monkeypatch):
    monkeypatch.setattr(retry, "FIRST_DELAY_SECONDS", 0.001)
    engine = connect(f"sqlite:///{tmp_path}/x.sqlite")
    faults = [OperationalError("", {}, Exception(code, "fault")) for code in (1213, 1205, 2006, 2013)]
    faults.append(OperationalError("", {}, Exception("database is locked")))

    def work(connection):
        if faults:
            connection.execute(text("CREATE TABLE half (id INTEGER)"))
            raise faults.pop()
        return connection.scalar(text("SELECT count(*) FROM sqlite_master WHERE name = 'half'"))

    assert write(engine, "try", work) == 0
    with raises(DatabaseError, "1064", "syntax"):
        write(engine, "try", lambda connection: raise_(OperationalError("", {}, Exception(1064, "syntax"))))
    engine.dispose()


def raise_(error):
    raise error


def test_sqlite_waits_for_a_writer_and_never_for_a_reader(tmp_path):
    database = open_database(f"sqlite:///{tmp_path}/x.sqlite")
    with database._engine.connect() as connection:
        assert connection.scalar(text("PRAGMA journal_mode")) == "wal"
        assert connection.scalar(text("PRAGMA foreign_keys")) == 1
        assert connection.scalar(text("PRAGMA busy_timeout")) == 30_000
    with database._engine.execution_options(sightline_writes=True).begin() as connection:
        connection.execute(text("DELETE FROM runs"))
        assert database.runs() == []
    database.close()
