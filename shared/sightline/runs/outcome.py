"""The outcome of a run on Kubeflow, according to its journal.

A task whose result is in Kubeflow's cache never starts.  It is detected by later tasks, which cannot start without it;
test, which is last, is detected by its result in the bucket.
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
    """The outcome of a run: its state, and the reason if it did not succeed."""

    state: RunState
    message: str = ""


def outcome_at_finish(config: Config, document: RunDocument, *, failed: bool, stopped: Callable[[], str]) -> Outcome:
    """The outcome of a run after all its tasks have ended.

    Args:
        config: The complete configuration.
        document: The run.
        failed: Whether Kubeflow reports a failed task; for a resumed run it still reports earlier failures.
        stopped: Returns who stopped the run; empty if nobody did, or if unknown.

    Raises:
        SightlineError: Bucket, database or work volume cannot be read.
    """
    journal = _journal(config, document)
    if _is_complete(config, document, journal, last=(not failed) or document.resumed > 0):
        return Outcome("succeeded")
    by = stopped_by(config, document.run_id) or stopped()
    return Outcome("stopped", by) if by else Outcome("failed", _reason(document, journal))


def outcome_after_task(config: Config, document: RunDocument) -> Outcome | None:
    """The outcome of a resumed run after one of its tasks has ended; None while other tasks are pending.

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
    """The message that ``pipeline.py stop`` wrote to the row of a run before stopping it; empty if there is none."""
    with closing(open_database(config.database.url)) as database:
        row = database.find_runs([run_id]).get(run_id)
    return row.message if row is not None and row.state == "stopped" else ""


def _journal(config: Config, document: RunDocument) -> dict[str, TaskEntry]:
    """The tasks in the order of the graph."""
    journal = read_journal(Path(config.work.dir), document.run_id)
    return {step: journal[step] for step in BY_NAME if step in journal}


def _is_complete(config: Config, document: RunDocument, journal: Mapping[str, TaskEntry], *, last: bool) -> bool:
    """Whether all tasks are done; tasks reused from Kubeflow's cache are added to the journal.

    Args:
        config: The complete configuration.
        document: The run.
        journal: Its tasks.
        last: Whether the last task may have been reused if it never started; for test this is checked.
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
    """The result of a task that never started, from the cache; for test, that of the best candidates."""
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
    """Whether the selected models are champions; promote does not run if there is nothing to do."""
    if "evaluate" not in journal:
        return True
    if "promote" in journal:
        return journal["promote"].state in DONE
    result = from_json(EvaluateResult, journal["evaluate"].result)
    return is_carried_out(config, DatasetTag.parse(config.data.tag).dataset, storage, result)


def _reason(document: RunDocument, journal: Mapping[str, TaskEntry]) -> str:
    """Why the run failed: the error of its first failed task, or the state of a task that did not end."""
    resume = f"`python pipeline.py resume {document.run_id}` resumes it"
    for step, entry in journal.items():
        if entry.state == "failed":
            return f"{step}: {entry.message}"
    for step, entry in journal.items():
        if entry.state == "interrupted":
            return f"{step}: {entry.message}; {resume}"
        if entry.state == "running" and step != "finish":
            return f"{step}: its pod was stopped, evicted or lost; {resume}"
    return f"no task reported a reason; `python pipeline.py status {document.run_id}` reads pods and events"
