"""Runs: start, configuration and end."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

from sqlalchemy import Connection, Engine, Row, insert, select, update
from sqlalchemy.exc import IntegrityError

from sightline.database.engine.connection import write
from sightline.database.records import RunRecord, RunRow, RunState
from sightline.database.schema.checks import check_row
from sightline.database.schema.tables import RUNS
from sightline.errors import DatabaseError

MAX_MESSAGE_CHARACTERS = 4_000


def start(engine: Engine, run: RunRecord) -> None:
    """See :meth:`sightline.database.Database.start_run`."""
    row: dict[str, Any] = {name: getattr(run, name) for name in RunRecord.__slots__}
    row |= {"state": "running", "started_at": datetime.now(UTC), "finished_at": None, "message": ""}
    check_row(RUNS, row)
    try:
        write(engine, f"start run {run.run_id}", lambda connection: connection.execute(insert(RUNS).values(row)))
    except IntegrityError:
        write(engine, f"continue run {run.run_id}", lambda connection: _go_on(connection, run))


def finish(engine: Engine, run_id: str, state: RunState, message: str) -> None:
    """See :meth:`sightline.database.Database.finish_run`."""
    values = _values(state, message)

    def work(connection: Connection) -> None:
        _known_digest(connection, run_id)
        connection.execute(update(RUNS).where(RUNS.c.run_id == run_id).values(values))

    write(engine, f"finish run {run_id}", work)


def correct(engine: Engine, run_id: str, before: RunState, state: RunState, message: str) -> bool:
    """See :meth:`sightline.database.Database.correct_run`."""
    present = (RUNS.c.run_id == run_id) & (RUNS.c.state == before)
    changed = update(RUNS).where(present).values(_values(state, message))
    return write(engine, f"correct run {run_id}", lambda connection: connection.execute(changed).rowcount > 0)


def _values(state: RunState, message: str) -> dict[str, Any]:
    if len(message) > MAX_MESSAGE_CHARACTERS:
        message = message[: MAX_MESSAGE_CHARACTERS - 1] + "…"
    return {"state": state, "finished_at": None if state == "running" else datetime.now(UTC), "message": message}


def latest(connection: Connection, limit: int) -> list[RunRow]:
    """The latest runs, newest first."""
    query = select(RUNS).order_by(RUNS.c.id.desc()).limit(limit)
    return [run_row(row) for row in connection.execute(query)]


def run_row(row: Row[Any]) -> RunRow:
    """Convert a row of runs to plain data."""
    return RunRow(
        record=RunRecord(**{name: getattr(row, name) for name in RunRecord.__slots__}),
        state=cast(RunState, row.state),
        started_at=row.started_at,
        finished_at=row.finished_at,
        message=row.message,
    )


def _go_on(connection: Connection, run: RunRecord) -> None:
    digest = _known_digest(connection, run.run_id)
    if digest != run.configuration_digest:
        raise DatabaseError(
            f"run {run.run_id} was started with configuration {digest}, but is now continued with "
            f"{run.configuration_digest}; start a new run for another configuration"
        )
    connection.execute(update(RUNS).where(RUNS.c.run_id == run.run_id).values(_values("running", "")))


def _known_digest(connection: Connection, run_id: str) -> str:
    digest = connection.scalar(select(RUNS.c.configuration_digest).where(RUNS.c.run_id == run_id))
    if digest is None:
        raise DatabaseError(f"run {run_id} is unknown; it must be started before it can end")
    return str(digest)
