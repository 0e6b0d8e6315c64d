"""Determines which training sets a run used: sharing the annotations of a training set does not imply using it.

A run with models used the training sets of its models.  A run without models used a training set if it completed
record, or if it would have recorded exactly this one; but not if it ended before the training set was registered.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, select

from sightline.config.digest import record_digest
from sightline.database.records import VersionRow
from sightline.database.schema.tables import MODELS, RUN_MODELS, RUNS
from sightline.strict_json import decode

_WITHOUT_DATA = {"resolve", "record"}
_WITH_DATA = {"train", "evaluate", "promote", "test", "finish"}
"""Tasks of a run: the message of a failed run begins with the failed task."""

_TRAINED = ("best", "last", "candidate", "proposed")
"""Roles of a run's own candidates; champions and selected models may come from other data."""

_CHUNK = 500


def used_training_sets(
    connection: Connection, dataset_tags: Collection[str], versions: Iterable[VersionRow], run_id: str | None = None
) -> dict[str, list[str]]:
    """Run -> the training sets that it used, for all runs of some dataset tags; runs that used none are absent.

    Args:
        connection: Connection to the database.
        dataset_tags: Annotation tags and training tags with which runs were started.
        versions: The training sets to consider.
        run_id: Restricts the query to one run; all runs by default.
    """
    columns = (RUNS.c.run_id, RUNS.c.dataset_tag, RUNS.c.state, RUNS.c.message, RUNS.c.finished_at)
    query = select(*columns, RUNS.c.configuration_digest).where(RUNS.c.dataset_tag.in_(sorted(dataset_tags)))
    if run_id is not None:
        query = query.where(RUNS.c.run_id == run_id)
    runs = connection.execute(query).all()
    linked = _linked(connection, {run.run_id for run in runs})
    asked = list(versions)
    undecided = []
    used: dict[str, list[str]] = {}
    for run in runs:
        for version in asked:
            tag = version.record.tag
            if run.dataset_tag not in {tag, version.record.parent_tag}:
                continue
            verdict = (run.run_id, tag) in linked or _says(run, version)
            if verdict is None:
                undecided.append((run, version))
            elif verdict:
                used.setdefault(run.run_id, []).append(tag)
    digests = _record_digests(connection, {run.configuration_digest: run.run_id for run, _ in undecided})
    for run, version in undecided:
        if digests.get(run.configuration_digest) == version.record.configuration_digest:
            used.setdefault(run.run_id, []).append(version.record.tag)
    return used


def _linked(connection: Connection, run_ids: Collection[str]) -> set[tuple[str, str]]:
    """(run, training tag) for models that runs created, or reused."""
    made = select(MODELS.c.run_id, MODELS.c.training_tag)
    found = select(RUN_MODELS.c.run_id, MODELS.c.training_tag).join(MODELS, MODELS.c.id == RUN_MODELS.c.model_id)
    links: set[tuple[str, str]] = set()
    for some in _chunks(sorted(run_ids)):
        links |= {(row[0], row[1]) for row in connection.execute(made.where(MODELS.c.run_id.in_(some)))}
        own = found.where(RUN_MODELS.c.run_id.in_(some), RUN_MODELS.c.role.in_(_TRAINED))
        links |= {(row[0], row[1]) for row in connection.execute(own)}
    return links


def _says(run: Row[*tuple[Any, ...]], version: VersionRow) -> bool | None:
    """Whether a run without models used a training set; None if its configuration must be compared."""
    if run.finished_at is not None and run.finished_at < version.created_at:
        return False
    task = run.message.partition(":")[0] if run.state == "failed" else ""
    if task in _WITHOUT_DATA:
        return False
    if task in _WITH_DATA or run.dataset_tag == version.record.tag:
        return True
    return None


def _record_digests(connection: Connection, examples: Mapping[str, str]) -> dict[str, str]:
    """Configuration digest -> digest of the part that record depends on; ``examples`` has a run for each."""
    found: dict[str, str] = {}
    for some in _chunks(sorted(examples.values())):
        query = select(RUNS.c.configuration_digest, RUNS.c.configuration).where(RUNS.c.run_id.in_(some))
        for digest, configuration in connection.execute(query):
            document = decode(configuration)
            found[digest] = record_digest(document) if isinstance(document, dict) else ""
    return found


def _chunks(values: Sequence[str]) -> Iterable[Sequence[str]]:
    return (values[start : start + _CHUNK] for start in range(0, len(values), _CHUNK))
