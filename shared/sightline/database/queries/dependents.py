"""Finds objects made from a dataset version, which prevent its removal."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, select

from sightline.database.schema.tables import METRICS, MODELS, PROMOTIONS, RUNS

SHOWN = 10


@dataclass(frozen=True, slots=True)
class Dependent:
    """One object that was made from a version, or is being made.

    Attributes:
        kind: ``model``, ``champion``, ``measurement`` or ``run``.
        name: A name by which users can find it.
    """

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def find(connection: Connection, annotation_tag: str, training_tag: str) -> list[Dependent]:
    """Find the newest :data:`SHOWN` objects of each kind."""
    return [
        *_champions(connection, training_tag),
        *_models(connection, training_tag),
        *_measurements(connection, training_tag),
        *_runs(connection, annotation_tag, training_tag),
    ]


def _champions(connection: Connection, training_tag: str) -> list[Dependent]:
    """Models that are or were champions."""
    models = {row.id: row.sha256[:12] for row in connection.execute(select(MODELS).where(_made_from(training_tag)))}
    table = PROMOTIONS
    names: dict[str, None] = {}
    for column in (table.c.model_id, table.c.previous_model_id):
        query = select(column.label("model"), table.c.dataset, table.c.metric).where(column.in_(sorted(models)))
        rows = connection.execute(query.order_by(table.c.id.desc())).all() if models else []
        names |= dict.fromkeys(f"{models[row.model]} of {row.dataset} by {row.metric}" for row in rows)
    return [Dependent("champion", name) for name in list(names)[:SHOWN]]


def _models(connection: Connection, training_tag: str) -> list[Dependent]:
    query = select(MODELS.c.sha256, MODELS.c.run_id).where(_made_from(training_tag))
    rows = connection.execute(query.order_by(MODELS.c.id.desc()).limit(SHOWN))
    return [Dependent("model", row.sha256[:12] + (f" of run {row.run_id}" if row.run_id else "")) for row in rows]


def _measurements(connection: Connection, training_tag: str) -> list[Dependent]:
    """Models of other versions that were measured on this one."""
    query = (
        select(MODELS.c.sha256)
        .join(METRICS, METRICS.c.model_id == MODELS.c.id)
        .where(METRICS.c.dataset_tag == training_tag, MODELS.c.training_tag != training_tag)
        .distinct()
    )
    return [Dependent("measurement", f"of model {sha256[:12]}") for sha256 in connection.scalars(query.limit(SHOWN))]


def _runs(connection: Connection, annotation_tag: str, training_tag: str) -> list[Dependent]:
    """Running runs that may train on it; a run that ended without a model does not depend on it."""
    read = RUNS.c.dataset_tag.in_([annotation_tag, training_tag])
    query = select(RUNS.c.run_id).where(read, RUNS.c.state == "running").order_by(RUNS.c.id.desc())
    return [Dependent("run", f"{run_id}, which is running") for run_id in connection.scalars(query.limit(SHOWN))]


def _made_from(training_tag: str) -> ColumnElement[bool]:
    return MODELS.c.training_tag == training_tag
