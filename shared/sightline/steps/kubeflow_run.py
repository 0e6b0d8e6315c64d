"""A run that Kubeflow keeps: resolve opens it, finish closes it; its row, journal and page are those of any run.

A run on a laptop has a process that does both (:mod:`sightline.steps.run`); its ``run.json`` names that process, and
what stands here leaves it alone.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from sightline.config.digest import config_digest
from sightline.config.schema import Config
from sightline.data.tags import DatasetTag
from sightline.database import open_database
from sightline.errors import ConfigurationError, SightlineError
from sightline.pod import prepare_pod
from sightline.steps import resolve
from sightline.steps.journal import TaskEntry, current_run_id, note_reused, read_journal, run_folder
from sightline.steps.notify import notify
from sightline.steps.promotion import is_carried_out
from sightline.steps.results import EvaluateResult
from sightline.steps.run_document import (
    RunDocument,
    champion_lines,
    read_document,
    result_line,
    run_address,
    run_record,
    write_document,
)
from sightline.steps.store import STEP_OF, from_json, latest_result, to_json
from sightline.storage import Storage, open_storage

_DONE = {"succeeded", "reused"}

_log = logging.getLogger(__name__)


def open_run(resolved: resolve.Resolved, recipe: str, overrides: Sequence[str], steps: Sequence[str]) -> None:
    """Record that a run of Kubeflow began, or goes on; without a name of the run, or with a keeper, nothing happens.

    Args:
        resolved: What the run is.
        recipe: As asked for.
        overrides: As asked for.
        steps: The steps of its graph but resolve.

    Raises:
        SightlineError: Neither database nor work volume took it.
    """
    run_id, config = current_run_id(), resolved.config
    known = read_document(Path(config.work.dir), run_id) if run_id else None
    if not run_id or (known is not None and known.pid):
        return
    document = RunDocument(
        run_id=run_id,
        recipe=recipe,
        overrides=list(overrides),
        steps=list(steps),
        dataset_tag=config.data.tag,
        code_rev=resolved.code_rev,
        configuration=config.model_dump(mode="json"),
        command=f"python pipeline.py rerun {run_id}",
        state="running",
        started=known.started if known else datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=0.0,
        pid=0,
    )
    with closing(open_database(config.database.url)) as database:
        database.start_run(run_record(document))
    write_document(Path(config.work.dir), document)


def close_run(recipe: str, overrides: str, dataset_tag: str, *, failed: bool, copy_to: str) -> None:
    """Close the run: its row, its page, and a message to whom it concerns.

    Kubeflow says at this point FAILED of a run that was resumed and went well since, and RUNNING of one that succeeded
    as of one that was stopped; so the journal decides, see :func:`_complete`.

    Args:
        recipe: As asked for.
        overrides: As asked for, one a line.
        dataset_tag: As asked for.
        failed: Whether Kubeflow says that a task failed, now or before the run was resumed.
        copy_to: Where Kubeflow wants the page of the run; it gets none where resolve refused what was asked for.

    Raises:
        SightlineError: The row or the page could not be written; the message was sent.
    """
    from sightline.steps.run_pages import write_pages  # resolve is spared what makes pages

    prepare_pod()
    run_id = current_run_id()
    try:
        config = resolve.configuration(recipe, overrides, dataset_tag)
    except ConfigurationError as error:
        _tell(run_id, dataset_tag, "failed", str(error))
        return
    _log.info("finish: run %s of %s", run_id, config.data.tag)
    document = read_document(Path(config.work.dir), run_id) if run_id else None
    if document is None or document.pid:
        if run_id and document is None:
            _tell(run_id, dataset_tag, "failed", "resolve did not begin the run; its log says why")
        return
    document.state, document.message = "failed", ""
    document.seconds = (datetime.now(UTC) - datetime.fromisoformat(document.started)).total_seconds()
    fault: SightlineError | None = None
    try:
        if _complete(config, document, failed=failed):
            document.state = "succeeded"
        else:
            document.message = _reason(config, run_id)
    except SightlineError as error:
        fault, document.message = error, f"whether every task did its part cannot be seen: {error}"
    try:
        with closing(open_database(config.database.url)) as database:
            database.finish_run(run_id, document.state, document.message)
        write_pages(config, document)
    except SightlineError as error:
        fault = fault or error
    work = Path(config.work.dir)
    line = document.message or "\n".join([result_line(work, document), *champion_lines(work, document)])
    _tell(run_id, config.data.tag, document.state, line)
    if fault is not None:
        raise fault
    page = (run_folder(Path(config.work.dir), run_id) / "report" / "index.html").read_bytes()
    open_storage(config.storage.uri).write_bytes(f"runs/{run_id}/index.html", page)
    Path(copy_to).parent.mkdir(parents=True, exist_ok=True)
    Path(copy_to).write_bytes(page)


def _complete(config: Config, document: RunDocument, *, failed: bool) -> bool:
    """Whether every task of the run did its part; those whose result Kubeflow had in its cache are written down.

    Such a task never began.  It is known by the tasks after it, which cannot begin without it; the last task by its
    result in the bucket, unless Kubeflow says that a task failed.
    """
    work = Path(config.work.dir)
    storage = open_storage(config.storage.uri)
    training_tag = str(DatasetTag.parse(config.data.tag).training)
    journal = read_journal(work, document.run_id)
    for number, step in enumerate(document.steps):
        entry = journal.get(step)
        if entry is not None:
            if entry.state not in _DONE:
                return False
            continue
        kind = next(kind for kind, name in STEP_OF.items() if name == step)
        result = latest_result(storage, kind, training_tag, config_digest(STEP_OF[kind], config))
        went_on = any(later in journal for later in document.steps[number + 1 :])
        if result is None or (failed and not went_on):
            return False
        note_reused(work, step, to_json(result))
    return _is_promoted(config, storage, journal)


def _is_promoted(config: Config, storage: Storage, journal: Mapping[str, TaskEntry]) -> bool:
    """Whether what evaluate selected is champion; promote does not run where it has nothing to do."""
    if "evaluate" not in journal:
        return True
    if "promote" in journal:
        return journal["promote"].state in _DONE
    result = from_json(EvaluateResult, journal["evaluate"].result)
    return is_carried_out(config, DatasetTag.parse(config.data.tag).dataset, storage, result)


def _reason(config: Config, run_id: str) -> str:
    """Why the run failed: what its first failed task says, else what is known of the one that did not end."""
    journal = read_journal(Path(config.work.dir), run_id)
    for step, entry in journal.items():
        if entry.state in {"failed", "interrupted"}:
            return f"{step}: {entry.message}"
    for step, entry in journal.items():
        if entry.state == "running":
            return (
                f"{step}: its pod was stopped, evicted or lost; `python pipeline.py resume {run_id}` goes on from there"
            )
    return f"no task said why; `python pipeline.py status {run_id}` reads pods and events"


def _tell(run_id: str, dataset_tag: str, state: str, text: str) -> None:
    """Write the outcome to the log, and send it to the webhook where there is one."""
    message = f"Sightline run {run_id} on {dataset_tag or 'no dataset tag'} {state}: {text}"
    if address := run_address(run_id):
        message += f"\n{address}"
    _log.info("%s", message)
    notify(message)
