"""A run that Kubeflow keeps: resolve opens it, finish closes it; its row, journal and page are those of any run.

A run that failed or was stopped can be resumed, by our command, by the dashboard's button or by any other client.  Then
Kubeflow keeps what has ended, finish too.  So the first task that begins on a closed run reopens it, and from then on
each task that ends looks whether it was the last, and closes the run if so; a finish that runs after all changes
nothing any more.

A run on a laptop has a process that does all this (:mod:`sightline.runs.local_run`); its ``run.json`` names that
process, and what is here leaves it alone.
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
"""How long a task that ends waits for another one that does."""

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
    """A task's part in the life of its run: which try it is, and how often the run was resumed before."""

    attempt: int = 1
    resumed: int = 0


@contextmanager
def taking_part(config: Config, step: str) -> Iterator[Turn]:
    """Reopen a closed run of Kubeflow when one of its tasks begins, and close a resumed one when its last task ends.

    Args:
        config: The whole configuration.
        step: The task.

    Yields:
        What the journal is to say of the task.

    Raises:
        SightlineError: The run could not be closed; the task did its part, and repeating it closes the run.
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
                _log.warning("the run could not be closed: %s", fault)  # why the task failed is what counts
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
    """Close the run: its row, its page, and a message to whom it concerns.

    Kubeflow says at this point FAILED of a run that was resumed and went well since, and RUNNING of one that succeeded
    as of one that was stopped or lost a pod; so the journal decides (:mod:`sightline.runs.outcome`).

    Args:
        recipe: As asked for.
        overrides: As asked for, one a line.
        dataset_tag: As asked for.
        failed: Whether Kubeflow says that a task failed, now or before the run was resumed.
        copy_to: Where Kubeflow wants the page of the run.
        stopped: Asks whether somebody stopped the run: who and when, or empty; asked only where it matters.

    Returns:
        What Kubeflow calls the run; empty where that is not known.

    Raises:
        SightlineError: The row or the page could not be written; the message was sent.  Or resolve did not begin the
            run: a finish that fails runs again when the run is resumed, and there is no page to show.
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
        message = "resolve did not begin the run; its log says why"
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
            outcome = Outcome("failed", f"whether every task did its part cannot be seen: {error}")
        _close(config, document, outcome, done)
        if fault is not None:
            raise fault
        Path(copy_to).parent.mkdir(parents=True, exist_ok=True)
        Path(copy_to).write_bytes(_page(work, run_id))
    return document.name


def _was_closed(work: Path, document: RunDocument | None, run_id: str) -> bool:
    """Whether finish has been there: it writes ``run.json``, and its entry even where there is none yet."""
    return (document is not None and document.state != "running") or "finish" in read_journal(work, run_id)


def _reopen(work: Path, document: RunDocument) -> None:
    """Make a closed run one that goes on; a success that was told is not told again."""
    document.told = document.told if document.told == "succeeded" else ""
    document.state, document.message, document.seconds = "running", "", 0.0
    document.resumed += 1
    remove_entry(work, document.run_id, "finish")


def _reopened(config: Config, document: RunDocument) -> RunDocument:
    """The run as it goes on; one that was closed runs again, in database and page too."""
    work, run_id = Path(config.work.dir), document.run_id
    if not _was_closed(work, document, run_id):
        return document
    with _alone(work, run_id):
        document = read_document(work, run_id) or document
        if not _was_closed(work, document, run_id):
            return document
        _reopen(work, document)
        write_document(work, document)
        _log.info("run %s is resumed, for the %d. time", run_id, document.resumed)
        try:
            with closing(open_database(config.database.url)) as database:
                database.start_run(run_record(document))
            _publish_page(config, document)
        except SightlineError as error:
            _log.warning("the run goes on, but row or page do not say so yet: %s", error)
    return document


def _close_resumed(config: Config, run_id: str) -> None:
    """Close a run that was resumed if none of its tasks is still to come."""
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
    """Write down how a run ended: ``run.json``, its row, its pages; then tell the webhook, once for each end.

    Args:
        config: The whole configuration.
        document: The run.
        outcome: How it ended.
        done: Called when all but the page is done, which shows how long that took.

    Raises:
        SightlineError: Something could not be written; the message was sent.
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
    """Write the page on the work volume, and its copy in the bucket."""
    from sightline.runs.pages import write_pages  # resolve is spared what makes pages

    write_pages(config, document)
    page = _page(Path(config.work.dir), document.run_id)
    open_storage(config.storage.uri).write_bytes(f"runs/{document.run_id}/index.html", page)


def _page(work: Path, run_id: str) -> bytes:
    """The page of a run, to lie where nothing lies beside it."""
    from sightline.report.page import alone

    return alone((run_folder(work, run_id) / "report" / "index.html").read_bytes())


@contextmanager
def _alone(work: Path, run_id: str) -> Iterator[None]:
    """Keep other tasks of the run from reopening or closing it meanwhile."""
    with exclusive_lock(run_folder(work, run_id) / "life.lock", LOCK_SECONDS):
        yield


def _tell(run_id: str, dataset_tag: str, outcome: Outcome, text: str = "", *, resumed: int = 0) -> None:
    """Write the outcome to the log, and send it to the webhook where there is one."""
    state = f"{outcome.state} after it was resumed" if resumed else outcome.state
    message = f"Sightline run {run_id} on {dataset_tag or 'no dataset tag'} {state}: {text or outcome.message}"
    if address := run_address(run_id):
        message += f"\n{address}"
    _log.info("%s", message)
    notify(message)
