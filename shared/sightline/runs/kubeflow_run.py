"""A run on Kubeflow: resolve opens it, finish closes it; its row, journal and page are those of any run.

A run that failed or was stopped can be resumed, by our command, by the dashboard or by any other client.  Kubeflow then
keeps all finished tasks, including finish.  So the first task that starts on a closed run reopens it, and from then on
each task that ends checks whether it was the last, and closes the run if so; a finish that runs afterwards changes
nothing.

A local run has a process that does all this (:mod:`sightline.runs.local_run`); its ``run.json`` contains that process,
and the functions here ignore it.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sightline.config.schema import Config
from sightline.database import open_database
from sightline.errors import ConfigurationError, SightlineError, StepError
from sightline.lock import exclusive_lock
from sightline.pod import current_run_id, current_run_name, prepare_pod
from sightline.runs import resolve
from sightline.runs.document import (
    RunDocument,
    champion_lines,
    read_document,
    result_line,
    run_address,
    run_record,
    write_document,
)
from sightline.runs.folder import run_folder
from sightline.runs.journal import finishing, read_journal, remove_entry
from sightline.runs.notify import notify
from sightline.runs.outcome import Outcome, outcome_after_task, outcome_at_finish
from sightline.runs.signals import end_with
from sightline.runs.step_table import BY_NAME
from sightline.storage import open_storage

LOCK_SECONDS = 60.0
"""How long a task that ends waits for another task that ends at the same time."""

_log = logging.getLogger(__name__)


def open_run(resolved: resolve.Resolved, recipe: str, overrides: Sequence[str], steps: Sequence[str]) -> None:
    """Record that a Kubeflow run started or continues; does nothing without a run id, or for a local run.

    Args:
        resolved: The resolved configuration and code.
        recipe: Recipe as requested.
        overrides: Overrides as requested.
        steps: The steps of its graph except resolve.

    Raises:
        SightlineError: The database or the work volume is not writable.
    """
    run_id, config = current_run_id(), resolved.config
    work = Path(config.work.dir)
    known = read_document(work, run_id) if run_id else None
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
        resumed=known.resumed if known else 0,
        told=known.told if known else "",
        name=current_run_name(),
    )
    with closing(open_database(config.database.url)) as database:
        database.start_run(run_record(document))
    if _was_closed(work, known, run_id):
        _reopen(work, document)
    write_document(work, document)


@dataclass(frozen=True, slots=True)
class Turn:
    """The attempt of a task, and how often its run was resumed before."""

    attempt: int = 1
    resumed: int = 0


@contextmanager
def taking_part(config: Config, step: str) -> Iterator[Turn]:
    """Reopen a closed Kubeflow run when one of its tasks starts, and close a resumed one when its last task ends.

    Args:
        config: The complete configuration.
        step: The task.

    Yields:
        The values for the task's journal entry.

    Raises:
        SightlineError: The run could not be closed; the task itself succeeded, and repeating it closes the run.
    """
    work, run_id = Path(config.work.dir), current_run_id()
    document = read_document(work, run_id) if run_id else None
    if document is None or document.pid:
        if document is not None and document.pid != os.getpid() and document.host == socket.gethostname():
            end_with(document.pid)
        yield Turn()
        return
    document = _reopened(config, document)
    before = read_journal(work, run_id).get(step)
    again = before is not None and before.resumed == document.resumed
    turn = Turn(before.attempt + 1 if before is not None and again else 1, document.resumed)
    try:
        yield turn
    except BaseException as error:
        tried_again = isinstance(error, Exception) and turn.attempt <= BY_NAME[step].retries
        if document.resumed and not tried_again:
            try:
                _close_resumed(config, run_id)
            except SightlineError as fault:
                _log.warning("the run could not be closed: %s", fault)  # the error of the task is more important
        raise
    if document.resumed:
        _close_resumed(config, run_id)


def close_run(
    recipe: str,
    overrides: str,
    dataset_tag: str,
    *,
    failed: bool,
    copy_to: str,
    stopped: Callable[[], str] = str,
) -> str:
    """Close the run: update its row and page, and send a notification.

    At this point Kubeflow reports FAILED for a resumed run that has succeeded since, and RUNNING for runs that
    succeeded, were stopped or lost a pod; so the journal decides (:mod:`sightline.runs.outcome`).

    Args:
        recipe: Recipe as requested.
        overrides: Overrides as requested, one per line.
        dataset_tag: Dataset tag as requested.
        failed: Whether Kubeflow reports a failed task, now or before the run was resumed.
        copy_to: Path for Kubeflow's copy of the run page.
        stopped: Returns who stopped the run and when, or an empty string; called only if needed.

    Returns:
        The run's name on Kubeflow; empty if unknown.

    Raises:
        SightlineError: The row or the page could not be written; the notification was sent.  Or resolve did not start
            the run: a failed finish runs again when the run is resumed, and there is no page to show.
    """
    prepare_pod()
    run_id = current_run_id()
    try:
        config = resolve.configuration(recipe, overrides, dataset_tag)
    except ConfigurationError as error:
        _tell(run_id, dataset_tag, Outcome("failed", str(error)))
        raise
    _log.info("finish: run %s of %s", run_id, config.data.tag)
    work = Path(config.work.dir)
    document = read_document(work, run_id) if run_id else None
    if document is None and run_id:
        message = "resolve did not start the run; see its log"
        _tell(run_id, dataset_tag, Outcome("failed", message))
        raise StepError(message)
    if document is None or document.pid:
        return ""
    with _alone(work, run_id), finishing(work, run_id) as done:
        fault: SightlineError | None = None
        try:
            outcome = outcome_at_finish(config, document, failed=failed, stopped=stopped)
        except SightlineError as error:
            fault = error
            outcome = Outcome("failed", f"cannot tell whether every task finished: {error}")
        _close(config, document, outcome, done)
        if fault is not None:
            raise fault
        Path(copy_to).parent.mkdir(parents=True, exist_ok=True)
        Path(copy_to).write_bytes(_page(work, run_id))
    return document.name


def _was_closed(work: Path, document: RunDocument | None, run_id: str) -> bool:
    """Whether finish has run already: it writes ``run.json``, and its entry even if there is no ``run.json`` yet."""
    return (document is not None and document.state != "running") or "finish" in read_journal(work, run_id)


def _reopen(work: Path, document: RunDocument) -> None:
    """Mark a closed run as running; a success that was notified is not notified again."""
    document.told = document.told if document.told == "succeeded" else ""
    document.state, document.message, document.seconds = "running", "", 0.0
    document.resumed += 1
    remove_entry(work, document.run_id, "finish")


def _reopened(config: Config, document: RunDocument) -> RunDocument:
    """The document of the continued run; a closed run is reopened, in the database and on its page, too."""
    work, run_id = Path(config.work.dir), document.run_id
    if not _was_closed(work, document, run_id):
        return document
    with _alone(work, run_id):
        document = read_document(work, run_id) or document
        if not _was_closed(work, document, run_id):
            return document
        _reopen(work, document)
        write_document(work, document)
        _log.info("run %s was resumed; resumptions so far: %d", run_id, document.resumed)
        try:
            with closing(open_database(config.database.url)) as database:
                database.start_run(run_record(document))
            _publish_page(config, document)
        except SightlineError as error:
            _log.warning("the run continues, but its row or page could not be updated yet: %s", error)
    return document


def _close_resumed(config: Config, run_id: str) -> None:
    """Close a resumed run if none of its tasks is pending."""
    work = Path(config.work.dir)
    with _alone(work, run_id):
        document = read_document(work, run_id)
        if document is None or document.state != "running":
            return
        outcome = outcome_after_task(config, document)
        if outcome is None:
            return
        _log.info("every task has ended: closing the run, as finish does not run again in a resumed run")
        with finishing(work, run_id) as done:
            _close(config, document, outcome, done)


def _close(config: Config, document: RunDocument, outcome: Outcome, done: Callable[[], None]) -> None:
    """Record the end of a run: ``run.json``, its row, its pages; then notify the webhook, once per end.

    Args:
        config: The complete configuration.
        document: The run.
        outcome: The outcome of the run.
        done: Called when everything except the page is done; the page shows the time until then.

    Raises:
        SightlineError: Something could not be written; the notification was sent.
    """
    work, run_id = Path(config.work.dir), document.run_id
    document.state, document.message = outcome.state, outcome.message
    document.seconds = (datetime.now(UTC) - datetime.fromisoformat(document.started)).total_seconds()
    fault: SightlineError | None = None
    try:
        write_document(work, document)
        with closing(open_database(config.database.url)) as database:
            database.finish_run(run_id, outcome.state, outcome.message)
        done()
        _publish_page(config, document)
    except SightlineError as error:
        fault = error
    if document.told != outcome.state:
        line = outcome.message or "\n".join([result_line(work, document), *champion_lines(work, document)])
        _tell(run_id, document.dataset_tag, outcome, line, resumed=document.resumed)
        document.told = outcome.state
        try:
            write_document(work, document)
        except SightlineError as error:
            fault = fault or error
    if fault is not None:
        raise fault


def _publish_page(config: Config, document: RunDocument) -> None:
    """Write the page on the work volume, and copy it to the bucket."""
    from sightline.runs.pages import write_pages  # not needed by resolve, and slow to import

    write_pages(config, document)
    page = _page(Path(config.work.dir), document.run_id)
    open_storage(config.storage.uri).write_bytes(f"runs/{document.run_id}/index.html", page)


def _page(work: Path, run_id: str) -> bytes:
    """The page of a run as a single file without links to neighboring files."""
    from sightline.report.page import alone

    return alone((run_folder(work, run_id) / "report" / "index.html").read_bytes())


@contextmanager
def _alone(work: Path, run_id: str) -> Iterator[None]:
    """Lock the run, so that other tasks do not reopen or close it concurrently."""
    with exclusive_lock(run_folder(work, run_id) / "life.lock", LOCK_SECONDS):
        yield


def _tell(run_id: str, dataset_tag: str, outcome: Outcome, text: str = "", *, resumed: int = 0) -> None:
    """Log the outcome, and send it to the webhook if there is one."""
    state = f"{outcome.state} after it was resumed" if resumed else outcome.state
    message = f"Sightline run {run_id} on {dataset_tag or 'no dataset tag'} {state}: {text or outcome.message}"
    if address := run_address(run_id):
        message += f"\n{address}"
    _log.info("%s", message)
    notify(message)
