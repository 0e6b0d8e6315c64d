"""Decisions: what each run decided about the champion by each metric, and why."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Engine, delete, insert, select
from sqlalchemy.exc import IntegrityError

from sightline.database.engine.connection import write
from sightline.database.records import DecisionRecord
from sightline.database.schema.checks import check_row
from sightline.database.schema.tables import DECISIONS


def record(engine: Engine, run_id: str, decisions: Iterable[DecisionRecord]) -> None:
    """See :meth:`sightline.database.Database.record_decisions`."""
    rows = [{"run_id": run_id} | {name: getattr(one, name) for name in DecisionRecord.__slots__} for one in decisions]
    for row in rows:
        check_row(DECISIONS, row)
    what = f"record the decisions of run {run_id}"
    try:
        write(engine, what, lambda connection: _replace(connection, rows))
    except IntegrityError:  # another task of the run wrote the same decision concurrently
        write(engine, what, lambda connection: _replace(connection, rows))


def of_run(connection: Connection, run_id: str) -> list[DecisionRecord]:
    """See :meth:`sightline.database.Database.decisions`."""
    query = select(DECISIONS).where(DECISIONS.c.run_id == run_id).order_by(DECISIONS.c.metric)
    return [
        DecisionRecord(**{name: getattr(row, name) for name in DecisionRecord.__slots__})
        for row in connection.execute(query)
    ]


def _replace(connection: Connection, rows: Iterable[dict[str, Any]]) -> None:
    table = DECISIONS
    for row in rows:
        same = (table.c.run_id == row["run_id"]) & (table.c.metric == row["metric"])
        connection.execute(delete(table).where(same))
        connection.execute(insert(table).values(row))
