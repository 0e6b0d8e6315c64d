"""The roles of models in runs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Engine, delete, insert, select
from sqlalchemy.exc import IntegrityError

from sightline.database.engine.connection import write
from sightline.database.queries.scores import model_id
from sightline.database.records import ModelUse
from sightline.database.schema.checks import check_row
from sightline.database.schema.tables import RUN_MODELS


def record(engine: Engine, run_id: str, uses: Iterable[ModelUse]) -> None:
    """See :meth:`sightline.database.Database.record_uses`."""
    wanted = sorted(set(uses), key=lambda use: (use.model_sha256, use.role, use.metric))
    for use in wanted:
        check_row(RUN_MODELS, _values(run_id, use))
    what = f"record the models of run {run_id}"
    try:
        write(engine, what, lambda connection: _add(connection, run_id, wanted))
    except IntegrityError:  # another task of the run wrote the same role concurrently
        write(engine, what, lambda connection: _add(connection, run_id, wanted))


def _add(connection: Connection, run_id: str, uses: Iterable[ModelUse]) -> None:
    table = RUN_MODELS
    of_run = table.c.run_id == run_id
    known = select(table.c.model_id, table.c.role, table.c.metric).where(of_run)
    present = {tuple(row) for row in connection.execute(known)}
    for use in uses:
        key = model_id(connection, use.model_sha256)
        if (key, use.role, use.metric) in present:
            continue
        if use.role in {
            "selected",
            "proposed",
        }:  # one model per metric: a repeated decision replaces the previous one
            before = of_run & (table.c.role == use.role) & (table.c.metric == use.metric)
            connection.execute(delete(table).where(before))
        connection.execute(insert(table).values(_values(run_id, use) | {"model_id": key}))


def _values(run_id: str, use: ModelUse) -> dict[str, Any]:
    return {"run_id": run_id, "role": use.role, "metric": use.metric}
