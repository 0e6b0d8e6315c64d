"""Promotions: which model became champion, when, and which model it replaced."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, Select, insert, select
from sqlalchemy.exc import IntegrityError

from sightline.database.engine.connection import write
from sightline.database.queries.scores import model_id
from sightline.database.records import ModelRecord, PromotionRecord, PromotionRow
from sightline.database.schema.checks import check_row
from sightline.database.schema.tables import MODELS, PROMOTIONS
from sightline.errors import DatabaseError

MAX_ATTEMPTS = 8
_COLUMNS = [name for name in PromotionRecord.__slots__ if name in PROMOTIONS.c and name != "sequence"]


def record(engine: Engine, promotion: PromotionRecord, promoted_at: datetime) -> None:
    """See :meth:`sightline.database.Database.record_promotion`.

    Each promotion has a number, unique for its dataset, task and metric; if two writers use the same number, the unique
    key rejects one of them, which then tries the next number.
    """
    what = f"promote model {promotion.model_sha256} of {promotion.dataset} by {promotion.metric}"
    for _ in range(MAX_ATTEMPTS):
        try:
            return write(engine, what, lambda connection: _record(connection, promotion, promoted_at))
        except IntegrityError:
            continue
    raise DatabaseError(f"cannot {what}: {MAX_ATTEMPTS} other promotions came first; run evaluate again")


def latest(connection: Connection, dataset: str, metric: str, task: str) -> PromotionRow | None:
    """The current champion, or None."""
    query = _of(dataset, metric, task).order_by(PROMOTIONS.c.sequence.desc()).limit(1)
    row = connection.execute(query).one_or_none()
    return None if row is None else _row(row)


def history(connection: Connection, dataset: str, metric: str, task: str) -> list[PromotionRow]:
    """See :meth:`sightline.database.Database.promotions`."""
    query = _of(dataset, metric, task).order_by(PROMOTIONS.c.sequence)
    return [_row(row) for row in connection.execute(query)]


def _of(dataset: str, metric: str, task: str) -> Select[Any]:
    table = PROMOTIONS
    previous = MODELS.alias("previous")
    model = [MODELS.c[name].label(f"model_{name}") for name in ModelRecord.__slots__]
    return (
        select(table, *model, previous.c.sha256.label("previous_sha256"))
        .join(MODELS, MODELS.c.id == table.c.model_id)
        .join(previous, previous.c.id == table.c.previous_model_id, isouter=True)
        .where(table.c.task == task, table.c.dataset == dataset, table.c.metric == metric)
    )


def _row(row: Row[Any]) -> PromotionRow:
    values = {name: getattr(row, name) for name in PromotionRecord.__slots__}
    values["reason"] = row.reason or ""  # a process of an earlier release wrote the row while the schema was upgraded
    return PromotionRow(
        record=PromotionRecord(**values),
        model=ModelRecord(**{name: getattr(row, f"model_{name}") for name in ModelRecord.__slots__}),
        promoted_at=row.promoted_at,
    )


def _record(connection: Connection, promotion: PromotionRecord, promoted_at: datetime) -> None:
    table = PROMOTIONS
    row: dict[str, Any] = {name: getattr(promotion, name) for name in _COLUMNS}
    row["promoted_at"] = promoted_at
    check_row(table, row)
    row["model_id"] = model_id(connection, promotion.model_sha256)
    if promotion.previous_sha256 is not None:
        row["previous_model_id"] = model_id(connection, promotion.previous_sha256)
    key = (
        (table.c.task == promotion.task) & (table.c.dataset == promotion.dataset) & (table.c.metric == promotion.metric)
    )
    if promotion.sequence:
        taken = connection.scalar(select(table.c.id).where(key, table.c.sequence == promotion.sequence))
        if taken is None:
            connection.execute(insert(table).values(row | {"sequence": promotion.sequence}))
        return
    query = select(table.c.sequence, table.c.model_id).where(key).order_by(table.c.sequence.desc()).limit(1)
    before = connection.execute(query).one_or_none()
    if before is None or before.model_id != row["model_id"]:
        connection.execute(insert(table).values(row | {"sequence": before.sequence + 1 if before else 1}))
