"""The files and runs referenced by the database, which garbage collection must keep."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select, union

from sightline.database.schema.tables import MODELS, PROMOTIONS, RUNS, VERSIONS


@dataclass(frozen=True, slots=True)
class References:
    """Files and runs referenced by the database.

    Attributes:
        models: SHA-256 of every model file -> its URI.
        promoted: SHA-256 of every model that was ever a champion.
        runs: Every registered run.
        fruitful_runs: Runs that produced a model or a champion.
        code_revisions: The code revisions of all runs and models.
        versions: Dataset tag -> (commit, DVC digest) of every published version.
    """

    models: dict[str, str]
    promoted: frozenset[str]
    runs: frozenset[str]
    fruitful_runs: frozenset[str]
    code_revisions: frozenset[str]
    versions: dict[str, tuple[str, str]]


def find(connection: Connection) -> References:
    """Read all references in one transaction."""
    models = {row.id: row for row in connection.execute(select(MODELS.c.id, MODELS.c.sha256, MODELS.c.uri))}
    makers = connection.scalars(select(MODELS.c.run_id).where(MODELS.c.run_id.is_not(None)).distinct())
    table = PROMOTIONS
    promotions = connection.execute(select(table.c.model_id, table.c.previous_model_id, table.c.run_id)).all()
    champions = {key for row in promotions for key in (row.model_id, row.previous_model_id) if key is not None}
    published = select(VERSIONS.c.tag, VERSIONS.c.commit, VERSIONS.c.digest).where(VERSIONS.c.state == "published")
    return References(
        models={row.sha256: row.uri for row in models.values()},
        promoted=frozenset(models[key].sha256 for key in champions),
        runs=frozenset(connection.scalars(select(RUNS.c.run_id))),
        fruitful_runs=frozenset(makers) | {row.run_id for row in promotions},
        code_revisions=frozenset(connection.scalars(union(select(RUNS.c.code_rev), select(MODELS.c.code_rev)))),
        versions={row.tag: (row.commit, row.digest) for row in connection.execute(published)},
    )
