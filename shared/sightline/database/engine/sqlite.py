"""Connections to SQLite, the embedded default."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event

from sightline.database.engine.address import shown
from sightline.errors import DatabaseError

LOCK_SECONDS = 30.0
WRITES = "sightline_writes"
"""Execution option of write transactions."""

_LOCK_POLL_SECONDS = 0.02


def connect_sqlite(url: URL, *, create: bool) -> Engine:
    """An engine for a file; see :func:`sightline.database.engine.connection.connect`."""
    if not url.database or url.database == ":memory:":
        raise DatabaseError(
            f"database {shown(url)}: the database must be a file that all steps can open; expected "
            "sqlite:////absolute/path"
        )
    if url.query:
        raise DatabaseError(
            f"database {shown(url)}: SQLite URLs take no options; remove the question mark and what follows"
        )
    path = Path(url.database).expanduser()
    if not create and not path.is_file():
        raise DatabaseError(
            f"there is no database {path}, so no run has been started here yet. Start one with `make demo` or "
            "`python pipeline.py run --local --recipe NAME --set data.tag=TAG`; if your runs are in another database, "
            "set database.url to it. `sightline db upgrade` creates an empty one"
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatabaseError(
            f"cannot create the folder {path.parent} of the database: {error.strerror}; set database.url to another"
        ) from error
    engine = create_engine(url.set(database=str(path)), connect_args={"timeout": LOCK_SECONDS}, hide_parameters=True)
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: Any, _record: object) -> None:  # noqa: ANN401  (the driver's own connection)
    """Leave transactions to :func:`_begin`; enable the write-ahead log, so that readers never wait for writers."""
    connection.isolation_level = None
    _write_ahead(connection)
    connection.execute("PRAGMA foreign_keys=ON")


def _write_ahead(connection: Any) -> None:  # noqa: ANN401  (the driver's own connection)
    """Switch the file to the write-ahead log; SQLite does not wait for concurrent writers in this case."""
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() >= deadline:
                raise
        else:
            return
        time.sleep(_LOCK_POLL_SECONDS)


def _begin(connection: Connection) -> None:
    """A write transaction takes the lock at its beginning: SQLite would not wait for a lock taken later."""
    writes = connection.get_execution_options().get(WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
