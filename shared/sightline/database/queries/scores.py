"""Model files and their metrics."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, func, insert, select, update
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.exc import IntegrityError

from sightline.database.engine.connection import write
from sightline.database.records import ModelRecord
from sightline.database.schema.checks import check_row
from sightline.database.schema.tables import METRICS, MODELS
from sightline.errors import DatabaseError


def register_model(engine: Engine, model: ModelRecord) -> None:
    """See :meth:`sightline.database.Database.register_model`."""
    row: dict[str, Any] = {name: getattr(model, name) for name in ModelRecord.__slots__}
    row["created_at"] = datetime.now(UTC)
    check_row(MODELS, row)
    what = f"register model {model.sha256}"
    try:
        write(engine, what, lambda connection: connection.execute(insert(MODELS).values(row)))
    except IntegrityError:
        write(engine, what, lambda connection: _complete(connection, model))


def model_row(row: Row[Any]) -> ModelRecord:
    """Convert a row of models to plain data."""
    return ModelRecord(**{name: getattr(row, name) for name in ModelRecord.__slots__})


def find_model(connection: Connection, sha256: str) -> ModelRecord | None:
    """The model file with this SHA-256, or None."""
    row = connection.execute(select(MODELS).where(MODELS.c.sha256 == sha256)).one_or_none()
    return None if row is None else model_row(row)


def model_id(connection: Connection, sha256: str) -> int:
    """The key of a registered model.

    Raises:
        DatabaseError: It is not registered.
    """
    found = connection.scalar(select(MODELS.c.id).where(MODELS.c.sha256 == sha256))
    if found is None:
        raise DatabaseError(f"model {sha256} is not registered; register it before its metrics and promotions")
    return int(found)


def record_metrics(
    engine: Engine, model_sha256: str, dataset_tag: str, split: str, values: Mapping[str, float]
) -> None:
    """See :meth:`sightline.database.Database.record_metrics`."""
    rows: list[dict[str, Any]] = [
        {"dataset_tag": dataset_tag, "split": split, "name": name, "value": float(values[name])}
        for name in sorted(values)
    ]
    for row in rows:
        check_row(METRICS, row)

    def work(connection: Connection) -> None:
        key = model_id(connection, model_sha256)
        for row in rows:
            _put(connection, row | {"model_id": key})

    write(engine, f"record metrics of model {model_sha256}", work)


def metrics(connection: Connection, model_sha256: str, dataset_tag: str, split: str) -> dict[str, float]:
    """The metrics of a model on one split, by name."""
    query = (
        select(METRICS.c.name, METRICS.c.value)
        .join(MODELS, MODELS.c.id == METRICS.c.model_id)
        .where(MODELS.c.sha256 == model_sha256, METRICS.c.dataset_tag == dataset_tag, METRICS.c.split == split)
        .order_by(METRICS.c.name)
    )
    return {row.name: row.value for row in connection.execute(query)}


def _complete(connection: Connection, model: ModelRecord) -> None:
    """Fill in unknown fields of a registered model: a step that reused it does not know its origin."""
    key = model_id(connection, model.sha256)
    for name in ("training_tag", "run_id", "code_rev"):
        column, value = MODELS.c[name], getattr(model, name)
        if value:
            unknown = (MODELS.c.id == key) & (func.coalesce(column, "") == "")
            connection.execute(update(MODELS).where(unknown).values({name: value}))


def _put(connection: Connection, row: Mapping[str, Any]) -> None:
    if connection.dialect.name == "sqlite":
        added = sqlite.insert(METRICS).values(row)
        connection.execute(
            added.on_conflict_do_update(index_elements=METRICS.primary_key, set_={"value": row["value"]})
        )
    else:
        connection.execute(mysql.insert(METRICS).values(row).on_duplicate_key_update(value=row["value"]))
