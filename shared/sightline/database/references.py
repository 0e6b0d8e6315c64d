"""Which files and runs the database speaks of: what garbage collection must leave alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from sqlalchemy import Connection, Table, select

from sightline.database.models import DatasetVersion, Model, Promotion, Run

_VERSIONS = cast(Table, DatasetVersion.__table__)
_MODELS = cast(Table, Model.__table__)
_PROMOTIONS = cast(Table, Promotion.__table__)
_RUNS = cast(Table, Run.__table__)


@dataclass(frozen=True, slots=True)
class References:
    """What the database names.

    Attributes:
        models: SHA-256 of every model file -> its URI.
        promoted: SHA-256 of every model that was ever a champion.
        runs: Every run that is known.
        fruitful_runs: Those that made a model or a champion.
        versions: Dataset tag -> (commit, DVC digest) of every published version.
    """

    models: dict[str, str]
    promoted: frozenset[str]
    runs: frozenset[str]
    fruitful_runs: frozenset[str]
    versions: dict[str, tuple[str, str]]


def find(connection: Connection) -> References:
    """Read all of it, in one transaction."""
    models = {row.id: row for row in connection.execute(select(_MODELS.c.id, _MODELS.c.sha256, _MODELS.c.uri))}
    makers = connection.scalars(select(_MODELS.c.run_id).where(_MODELS.c.run_id.is_not(None)).distinct())
    table = _PROMOTIONS
    promotions = connection.execute(select(table.c.model_id, table.c.previous_model_id, table.c.run_id)).all()
    champions = {key for row in promotions for key in (row.model_id, row.previous_model_id) if key is not None}
    published = select(_VERSIONS.c.tag, _VERSIONS.c.commit, _VERSIONS.c.digest).where(_VERSIONS.c.state == "published")
    return References(
        models={row.sha256: row.uri for row in models.values()},
        promoted=frozenset(models[key].sha256 for key in champions),
        runs=frozenset(connection.scalars(select(_RUNS.c.run_id))),
        fruitful_runs=frozenset(makers) | {row.run_id for row in promotions},
        versions={row.tag: (row.commit, row.digest) for row in connection.execute(published)},
    )
