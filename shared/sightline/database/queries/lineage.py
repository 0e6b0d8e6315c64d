"""Lineage queries in both directions; each uses an index.

A tag may have thousands of runs and models.  Only the newest are returned and the others are counted, so that a query
is equally fast on large and small databases.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, cast

from sqlalchemy import ColumnElement, Connection, FromClause, Row, and_, func, select

from sightline.database.lineage_records import (
    Lineage,
    ModelLineage,
    Named,
    PromotionLineage,
    RunUse,
    Scores,
    VersionLineage,
)
from sightline.database.queries.run_data import used_training_sets
from sightline.database.queries.runs import run_row
from sightline.database.queries.scores import model_row
from sightline.database.queries.versions import version_row
from sightline.database.records import ModelUse, RunChoice, RunRow, VersionRow
from sightline.database.schema.tables import METRICS, MODELS, PROMOTIONS, RUN_MODELS, RUNS, SPLIT_COUNTS, VERSIONS

SHOWN_RUNS = 50
SHOWN_MODELS = 100
SHOWN_PROMOTIONS = 100


Rows = Sequence[Row[Any]]


def trace(connection: Connection, asked: Named) -> Lineage:
    """Find all objects from which ``asked`` was made, and all that were made from it."""
    training_tags, models, hidden_models = _start(connection, asked)
    uses = _uses(connection, [row.id for row in models])
    training = {tag: row for tag, row in _versions(connection, training_tags).items() if row.record.kind == "training"}
    used = _used(connection, asked, training)
    if asked.kind == "run":
        training = {tag: row for tag, row in training.items() if tag in used.get(asked.name, [])}
    runs, hidden_runs = _runs_of(connection, asked, training_tags, models, uses, used=used)
    parents = {row.record.parent_tag for row in training.values()} - {""}
    parents |= {asked.name} if asked.kind == "annotations" else set()
    parents |= {run.record.dataset_tag for run in runs if asked.kind == "run"} - set(training)
    by_run = PROMOTIONS.c.run_id == asked.name if asked.kind == "run" else None
    return Lineage(
        asked=asked,
        annotations=_with_splits(connection, _versions(connection, parents)),
        training_sets=_with_splits(connection, training),
        runs=runs,
        models=_model_lineages(connection, models, uses),
        promotions=_promotions(connection, [row.id for row in models], by_run),
        hidden_runs=hidden_runs,
        hidden_models=hidden_models,
        used={run.record.run_id: used[run.record.run_id] for run in runs if run.record.run_id in used},
    )


def training_tags_of(connection: Connection, tags: Iterable[str]) -> dict[str, list[str]]:
    """The training tags made from each of some annotation tags, in order of registration."""
    wanted = sorted(set(tags) - {""})
    table = VERSIONS
    query = select(table.c.parent_tag, table.c.tag, table.c.id).where(table.c.parent_tag.in_(wanted))
    found: dict[str, list[str]] = {tag: [] for tag in wanted}
    for row in sorted(connection.execute(query.where(table.c.state == "published")), key=lambda row: cast(int, row.id)):
        found[row.parent_tag].append(row.tag)
    return found


def runs_by_id(connection: Connection, run_ids: Iterable[str]) -> list[RunRow]:
    """The known runs among ``run_ids``, newest first."""
    rows = connection.execute(select(RUNS).where(RUNS.c.run_id.in_(sorted(set(run_ids))))).all()
    return [run_row(row) for row in sorted(rows, key=lambda row: (row.started_at, row.id), reverse=True)]


def selections(connection: Connection, runs: Sequence[RunRow]) -> dict[str, dict[str, RunChoice]]:
    """See :meth:`sightline.database.Database.selections`."""
    made = training_tags_of(connection, [run.record.dataset_tag for run in runs])
    own = {run.record.run_id: [*made.get(run.record.dataset_tag, []), run.record.dataset_tag] for run in runs}
    tags = sorted({tag for names in own.values() for tag in names})
    measured = (METRICS.c.model_id == MODELS.c.id) & (METRICS.c.name == RUN_MODELS.c.metric)
    measured &= (METRICS.c.split == "val") & METRICS.c.dataset_tag.in_(tags)
    query = (
        select(RUN_MODELS.c.run_id, RUN_MODELS.c.role, RUN_MODELS.c.metric, MODELS.c.sha256)
        .add_columns(METRICS.c.dataset_tag, METRICS.c.value)
        .join(MODELS, MODELS.c.id == RUN_MODELS.c.model_id)
        .join(METRICS, measured, isouter=True)
        .where(RUN_MODELS.c.run_id.in_(sorted(own)), RUN_MODELS.c.role.in_(("proposed", "selected")))
    )
    parts: dict[tuple[str, str], dict[str, tuple[str, float | None]]] = {}
    for row in connection.execute(query):
        known = parts.setdefault((row.run_id, row.metric), {})
        if row.dataset_tag in own[row.run_id]:
            known[row.role] = (row.sha256, row.value)
        else:
            known.setdefault(row.role, (row.sha256, None))
    found: dict[str, dict[str, RunChoice]] = {run_id: {} for run_id in own}
    for (run_id, metric), known in parts.items():
        choice = _choice(known)
        if choice is not None:
            found[run_id][metric] = choice
    return found


def _choice(known: dict[str, tuple[str, float | None]]) -> RunChoice | None:
    """The best candidate and the retained champion, from the models with the roles proposed and selected."""
    selected = known.get("selected", ("", None))
    sha256, value = known.get("proposed", selected)
    if value is None:
        return None
    if selected[0] in {"", sha256}:
        return RunChoice(sha256, value)
    return RunChoice(sha256, value, *selected)


def _start(connection: Connection, asked: Named) -> tuple[list[str], Rows, int]:
    """The training tags and models to start with, and the number of older models that are left out."""
    if asked.kind == "model":
        found = connection.execute(select(MODELS).where(MODELS.c.sha256 == asked.name)).all()
        return [row.training_tag for row in found], found, 0
    if asked.kind == "run":
        run = runs_by_id(connection, [asked.name])
        tag = run[0].record.dataset_tag if run else ""
        used = select(RUN_MODELS.c.model_id).where(RUN_MODELS.c.run_id == asked.name)
        ids = {
            *connection.scalars(used),
            *connection.scalars(select(MODELS.c.id).where(MODELS.c.run_id == asked.name)),
        }
        return (
            training_tags_of(connection, [tag]).get(tag) or [tag],
            _models(connection, MODELS.c.id.in_(sorted(ids))),
            0,
        )
    tags = (
        training_tags_of(connection, [asked.name]).get(asked.name, []) if asked.kind == "annotations" else [asked.name]
    )
    made = MODELS.c.training_tag.in_(tags)
    shown = _models(connection, made)
    number = connection.scalar(select(func.count()).select_from(MODELS).where(made)) or 0
    return tags, [*shown, *_visitors(connection, tags)], number - len(shown)


def _models(connection: Connection, which: ColumnElement[bool]) -> Rows:
    return connection.execute(select(MODELS).where(which).order_by(MODELS.c.id.desc()).limit(SHOWN_MODELS)).all()


def _visitors(connection: Connection, tags: Collection[str]) -> Rows:
    """Models trained on other data and measured on one of ``tags``: the champions at that time."""
    here = select(METRICS.c.model_id).where(METRICS.c.dataset_tag.in_(tags)).distinct()
    ids = connection.scalars(select(MODELS.c.id).where(MODELS.c.id.in_(here), MODELS.c.training_tag.not_in(tags))).all()
    return _models(connection, MODELS.c.id.in_(ids)) if ids else []


def _uses(connection: Connection, model_ids: Collection[int]) -> dict[int, list[RunUse]]:
    query = (
        select(RUN_MODELS.c.run_id, RUN_MODELS.c.role, RUN_MODELS.c.metric, MODELS.c.id, MODELS.c.sha256)
        .join(MODELS, MODELS.c.id == RUN_MODELS.c.model_id)
        .where(RUN_MODELS.c.model_id.in_(model_ids))
        .order_by(RUN_MODELS.c.run_id, RUN_MODELS.c.role, RUN_MODELS.c.metric)
    )
    found: dict[int, list[RunUse]] = {}
    for row in connection.execute(query):
        found.setdefault(row.id, []).append(RunUse(row.run_id, ModelUse(row.sha256, row.role, row.metric)))
    return found


def _runs_of(
    connection: Connection,
    asked: Named,
    training_tags: Sequence[str],
    models: Rows,
    uses: dict[int, list[RunUse]],
    *,
    used: Collection[str],
) -> tuple[list[RunRow], int]:
    """The runs, newest first, and the number of older runs left out; ``used`` maps runs to training sets."""
    if asked.kind == "run":
        return runs_by_id(connection, [asked.name]), 0
    ids = {use.run_id for entries in uses.values() for use in entries} | {row.run_id for row in models if row.run_id}
    if asked.kind != "model":
        own = set(training_tags) | {asked.name}
        visiting = {row.id for row in models if row.training_tag not in own}
        ids = {use.run_id for key, entries in uses.items() if key not in visiting for use in entries}
        ids |= {row.run_id for row in models if row.run_id and row.id not in visiting}
        ids |= set(used)
        if asked.kind == "annotations" or not _versions(connection, [asked.name]):
            ids |= set(connection.scalars(select(RUNS.c.run_id).where(RUNS.c.dataset_tag == asked.name)))
    newest = (
        select(RUNS.c.run_id).where(RUNS.c.run_id.in_(sorted(ids))).order_by(RUNS.c.started_at.desc(), RUNS.c.id.desc())
    )
    known = connection.scalars(newest).all()
    return runs_by_id(connection, known[:SHOWN_RUNS]), max(0, len(known) - SHOWN_RUNS)


def _used(connection: Connection, asked: Named, training: dict[str, VersionRow]) -> dict[str, list[str]]:
    """Run -> the training sets that it used (:func:`~sightline.database.queries.run_data.used_training_sets`)."""
    tags = set(training) | {row.record.parent_tag for row in training.values()} - {""}
    only = asked.name if asked.kind == "run" else None
    return used_training_sets(connection, tags, training.values(), only)


def _versions(connection: Connection, tags: Iterable[str]) -> dict[str, VersionRow]:
    query = select(VERSIONS).where(VERSIONS.c.tag.in_(sorted(set(tags))), VERSIONS.c.state == "published")
    rows = sorted(connection.execute(query).all(), key=lambda row: cast(int, row.id))
    return {row.tag: version_row(row) for row in rows}


def _with_splits(connection: Connection, versions: dict[str, Any]) -> list[VersionLineage]:
    query = (
        select(VERSIONS.c.tag, SPLIT_COUNTS.c.split, SPLIT_COUNTS.c.images)
        .join(VERSIONS, VERSIONS.c.id == SPLIT_COUNTS.c.version_id)
        .where(VERSIONS.c.tag.in_(sorted(versions)))
    )
    counted: dict[str, dict[str, int]] = {tag: {} for tag in versions}
    for tag, split, images in connection.execute(query):
        if split:
            counted[tag][split] = images
    order = {"train": 0, "val": 1, "test": 2}
    return [
        VersionLineage(row, dict(sorted(counted[tag].items(), key=lambda entry: (order.get(entry[0], 3), entry[0]))))
        for tag, row in versions.items()
    ]


def _model_lineages(connection: Connection, models: Rows, uses: dict[int, list[RunUse]]) -> list[ModelLineage]:
    query = (
        select(METRICS)
        .where(METRICS.c.model_id.in_([row.id for row in models]))
        .order_by(METRICS.c.model_id, METRICS.c.dataset_tag, METRICS.c.split.desc(), METRICS.c.name)
    )
    scores: dict[int, dict[tuple[str, str], Scores]] = {}
    for row in connection.execute(query):
        of_model = scores.setdefault(row.model_id, {})
        key = (row.dataset_tag, row.split)
        of_model.setdefault(key, Scores(row.dataset_tag, row.split, {})).values[row.name] = row.value
    return [
        ModelLineage(model_row(row), row.created_at, list(scores.get(row.id, {}).values()), uses.get(row.id, []))
        for row in models
    ]


def _promotions(
    connection: Connection, model_ids: Collection[int], by_run: ColumnElement[bool] | None
) -> list[PromotionLineage]:
    """Promotions in which some models became or ceased to be champion, and promotions of a run."""
    table, after = PROMOTIONS, PROMOTIONS.alias("after")
    champion, before, heir = MODELS.alias("champion"), MODELS.alias("before"), MODELS.alias("heir")
    which = [select(table.c.id).where(table.c.model_id.in_(model_ids))]
    which.append(select(table.c.id).where(table.c.previous_model_id.in_(model_ids)))
    if by_run is not None:
        which.append(select(table.c.id).where(by_run))
    ids = sorted({key for query in which for key in connection.scalars(query)}, reverse=True)[:SHOWN_PROMOTIONS]
    if not ids:
        return []
    later = PROMOTIONS.alias("later")
    next_one = (
        select(func.min(later.c.sequence))
        .where(_same_champions(later, table), later.c.sequence > table.c.sequence)
        .scalar_subquery()
    )
    query = (
        select(
            table,
            champion.c.sha256,
            before.c.sha256.label("previous_sha256"),
            heir.c.sha256.label("replaced_by"),
            after.c.promoted_at.label("replaced_at"),
        )
        .join(champion, champion.c.id == table.c.model_id)
        .join(before, before.c.id == table.c.previous_model_id, isouter=True)
        .join(after, _same_champions(after, table) & (after.c.sequence == next_one), isouter=True)
        .join(heir, heir.c.id == after.c.model_id, isouter=True)
        .where(table.c.id.in_(ids))
        .order_by(table.c.id.desc())
    )
    return [
        PromotionLineage(
            dataset=row.dataset,
            metric=row.metric,
            task=row.task,
            sequence=row.sequence,
            model_sha256=row.sha256,
            previous_sha256=row.previous_sha256,
            value=row.value,
            previous_value=row.previous_value,
            run_id=row.run_id,
            action=row.action,
            actor=row.actor,
            reason=row.reason or "",  # an earlier release may write rows during an upgrade
            evidence=row.evidence,
            promoted_at=row.promoted_at,
            replaced_by=row.replaced_by,
            replaced_at=row.replaced_at,
        )
        for row in connection.execute(query)
    ]


def _same_champions(one: FromClause, other: FromClause) -> ColumnElement[bool]:
    """Whether two promotions have the same task, dataset and metric."""
    return and_(*(one.c[name] == other.c[name] for name in ("task", "dataset", "metric")))
