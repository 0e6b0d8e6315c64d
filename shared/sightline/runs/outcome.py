"""How a run of Kubeflow ended, as far as its journal tells.

A task whose result Kubeflow had in its cache never begins.  It is known by the tasks after it, which cannot begin
without it; test, which nothing follows, by its result in the bucket.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sightline.config.digest import config_digest
from sightline.config.schema import Config
from sightline.data.tags import DatasetTag
from sightline.database import RunState, open_database
from sightline.evaluation.subjects import subjects
from sightline.registry.promotion import is_carried_out
from sightline.registry.results import EvaluateResult, TestResult
from sightline.registry.store import STEP_OF, from_json, results, to_json
from sightline.runs.document import RunDocument
from sightline.runs.journal import TaskEntry, note_reused, read_journal
from sightline.runs.step_table import BY_NAME
from sightline.storage import Storage, open_storage

DONE = {"succeeded", "reused"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended: its state, and why where that is no success."""

    state: RunState
    message: str = ""


def outcome_at_finish(config: Config, document: RunDocument, *, failed: bool, stopped: Callable[[], str]) -> Outcome:
    """How a run ended, now that all its tasks have.

    Args:
        config: The whole configuration.
        document: The run.
        failed: Whether Kubeflow says that a task failed; of a run that was resumed it says so whatever came then.
        stopped: Asks whether somebody stopped the run; empty where nobody did, or nobody can tell.

    Raises:
        SightlineError: Bucket, database or work volume cannot be read.
    """
    journal = _journal(config, document)
    if _is_complete(config, document, journal, last=(not failed) or document.resumed > 0):
        return Outcome("succeeded")
    by = stopped_by(config, document.run_id) or stopped()
    return Outcome("stopped", by) if by else Outcome("failed", _reason(document, journal))


def outcome_after_task(config: Config, document: RunDocument) -> Outcome | None:
    """How a run that was resumed ended, now that one of its tasks has; None while others are still to come.

    Raises:
        SightlineError: Bucket, database or work volume cannot be read.
    """
    journal = _journal(config, document)
    here = [entry for entry in journal.values() if entry.resumed == document.resumed and entry.step != "finish"]
    if any(entry.state == "running" for entry in here):
        return None
    if _is_complete(config, document, journal, last=False):
        return Outcome("succeeded")
    ended = [entry for entry in here if entry.state not in DONE]
    if not ended:
        return None
    by = stopped_by(config, document.run_id)
    return Outcome("stopped", by) if by else Outcome("failed", _reason(document, {one.step: one for one in ended}))


def stopped_by(config: Config, run_id: str) -> str:
    """What ``pipeline.py stop`` wrote into the row of a run before it stopped it; empty where it did not."""
    with closing(open_database(config.database.url)) as database:
        row = database.find_runs([run_id]).get(run_id)
    return row.message if row is not None and row.state == "stopped" else ""


def _journal(config: Config, document: RunDocument) -> dict[str, TaskEntry]:
    """In the order of the graph."""
    journal = read_journal(Path(config.work.dir), document.run_id)
    return {step: journal[step] for step in BY_NAME if step in journal}


def _is_complete(config: Config, document: RunDocument, journal: Mapping[str, TaskEntry], *, last: bool) -> bool:
    """Whether every task did its part; those that Kubeflow had in its cache are written down.

    Args:
        config: The whole configuration.
        document: The run.
        journal: Its tasks.
        last: Whether the last task, if it never began, can have been in the cache; of test that is seen.
    """
    storage = open_storage(config.storage.uri)
    for number, step in enumerate(document.steps):
        entry = journal.get(step)
        if entry is not None:
            if entry.state not in DONE:
                return False
            continue
        went_on = any(later in journal for later in document.steps[number + 1 :])
        seen = step == "test" and "evaluate" in journal
        if not (went_on or last or (seen and document.resumed)):
            return False
        result = _cached(config, storage, step, journal)
        if result is None:
            return False
        note_reused(Path(config.work.dir), step, to_json(result))
    return _is_promoted(config, storage, journal)


def _cached(config: Config, storage: Storage, step: str, journal: Mapping[str, TaskEntry]) -> Any:  # noqa: ANN401
    """The result that a task which never began had in the cache: of test that of the best candidates."""
    kind = next(kind for kind, name in STEP_OF.items() if name == step)
    training_tag = str(DatasetTag.parse(config.data.tag).training)
    wanted: set[str] = set()
    if kind is TestResult and "evaluate" in journal:
        evaluated = from_json(EvaluateResult, journal["evaluate"].result)
        wanted = {one.sha256 for one in subjects(evaluated) if one.role != "champion"}
    found: Iterator[Any] = results(storage, kind, training_tag, config_digest(STEP_OF[kind], config))
    for result in found:
        if not wanted or wanted <= {model.sha256 for model in result.models}:
            return result
    return None


def _is_promoted(config: Config, storage: Storage, journal: Mapping[str, TaskEntry]) -> bool:
    """Whether what evaluate selected is champion; promote does not run where it has nothing to do."""
    if "evaluate" not in journal:
        return True
    if "promote" in journal:
        return journal["promote"].state in DONE
    result = from_json(EvaluateResult, journal["evaluate"].result)
    return is_carried_out(config, DatasetTag.parse(config.data.tag).dataset, storage, result)


def _reason(document: RunDocument, journal: Mapping[str, TaskEntry]) -> str:
    """Why the run failed: what its first failed task says, else what is known of the one that did not end."""
    resume = f"`python pipeline.py resume {document.run_id}` resumes it"
    for step, entry in journal.items():
        if entry.state == "failed":
            return f"{step}: {entry.message}"
    for step, entry in journal.items():
        if entry.state == "interrupted":
            return f"{step}: {entry.message}; {resume}"
        if entry.state == "running" and step != "finish":
            return f"{step}: its pod was stopped, evicted or lost; {resume}"
    return f"no task said why; `python pipeline.py status {document.run_id}` reads pods and events"
