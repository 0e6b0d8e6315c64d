"""SQLite alone: what its connections do when another process is at the file."""

import sqlite3
import threading

import pytest
from sqlalchemy.exc import OperationalError

from sightline.database.engine import sqlite
from sightline.database.engine.connection import connect


@pytest.fixture
def locked(tmp_path):
    """A new database, not in write-ahead mode yet, while another connection writes to it."""
    path = tmp_path / "sightline.sqlite"
    writer = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    writer.execute("CREATE TABLE t (a)")
    writer.execute("BEGIN IMMEDIATE")
    yield path, writer
    writer.close()


def test_the_first_connection_waits_for_a_writer(locked):
    path, writer = locked
    release = threading.Timer(0.3, lambda: writer.execute("COMMIT"))
    release.start()
    engine = connect(f"sqlite:///{path}")
    with engine.connect() as opened:
        assert opened.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    engine.dispose()
    release.join()


def test_it_does_not_wait_for_ever(locked, monkeypatch):
    monkeypatch.setattr(sqlite, "LOCK_SECONDS", 0.1)
    engine = connect(f"sqlite:///{locked[0]}")
    with pytest.raises(OperationalError, match="database is locked"):
        engine.connect()
    engine.dispose()
