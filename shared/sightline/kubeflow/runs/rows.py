"""Database rows of runs, compared with the state on Kubeflow.

Tasks write the rows.  The commands that ask Kubeflow correct what tasks cannot know or could no longer write: that a
run was stopped, by whom and when, or that a pod was lost in a run whose finish does not run again.
"""

from __future__ import annotations

import getpass
import logging
import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sightline.config.settings import embedded_or_own
from sightline.errors import SightlineError
from sightline.kubeflow.client.connection import connect
from sightline.kubeflow.client.profile import find_profile
from sightline.kubeflow.runs.lookup import Run, read_run, stopped_at
from sightline.pod import current_run_id

if TYPE_CHECKING:
    from sightline.database import Database, RunState

_CONNECT_SECONDS = 3
_FILE = "sqlite:///"
_NO_MESSAGE = "its pods ended without a message"

_log = logging.getLogger(__name__)


def note_stop(run: Run) -> bool:
    """Record in the row of a run which user is stopping it, for ``finish``.

    Returns:
        Whether it was written; the database of this machine may be another one, or may not be reachable.
    """
    message = f"stopped by {_somebody()} at {_text(datetime.now(UTC))}; {_remedy(run)}"
    with _database() as database:
        return database is not None and database.correct_run(run.run_id, "running", "stopped", message)
    return False


def take_back_stop(run: Run) -> None:
    """Undo :func:`note_stop`, because the run was not stopped."""
    with _database() as database:
        if database is not None:
            database.correct_run(run.run_id, "stopped", "running")


def note_resume(run: Run) -> None:
    """Record that a run continues, before its first task can do so."""
    with _database() as database:
        row = None if database is None else database.find_runs([run.run_id]).get(run.run_id)
        if database is not None and row is not None and row.state not in {"running", "succeeded"}:
            database.correct_run(run.run_id, row.state, "running")


def put_right(runs: Iterable[Run]) -> list[str]:
    """Correct the rows of ended runs to match Kubeflow.

    Args:
        runs: Runs just read from Kubeflow; those in progress are skipped, because their tasks write the rows.

    Returns:
        A line for each row that was changed.
    """
    ended = {run.run_id: run for run in runs if run.ended and run.state != "skipped"}
    lines: list[str] = []
    if not ended:
        return lines
    with _database() as database:
        rows = {} if database is None else database.find_runs(ended)
        for run_id, row in rows.items():
            right = _right(ended[run_id], row.state)
            if right and database is not None and database.correct_run(run_id, row.state, *right):
                lines.append(f"corrected the database: run {run_id[:8]} is {right[0]}, not {row.state}")
    return lines


def stop_message(run: Run) -> str:
    """A message that a run was stopped, and when; empty if it was not stopped since its start or last resumption."""
    moment = stopped_at(run.document)
    return f"stopped at {_text(moment)}, Kubeflow does not say by whom; {_remedy(run)}" if moment else ""


def ask_for_stop() -> str:
    """Ask Kubeflow, from a pod of a run, whether the run was stopped; also empty without permission to ask."""
    run_id = current_run_id()
    try:
        with connect(find_profile({})) as kubeflow:
            return stop_message(read_run(kubeflow.api.run(run_id)))
    except SightlineError as error:
        _log.info("cannot find out from here whether the run was stopped: %s", error)
        return ""


def _right(run: Run, known: RunState) -> tuple[RunState, str] | None:
    """The correct state and message of a row; None if it has them."""
    if known in {run.state, "succeeded"} or (run.state == "failed" and known == "interrupted"):
        return None  # a run with all its tasks finished has succeeded, even if its page could not be written
    if run.state == "failed":
        return "failed", f"{_NO_MESSAGE}; `python pipeline.py status {run.run_id}` shows pods and events"
    return ("stopped", stop_message(run)) if run.state == "stopped" else ("succeeded", "")


def _remedy(run: Run) -> str:
    return f"`python pipeline.py resume {run.run_id}` resumes it"


def _text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _somebody() -> str:
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, in a container
        name = f"user {os.getuid()}"
    return f"{name}@{socket.gethostname()}"


@contextmanager
def _database() -> Iterator[Database | None]:
    """The database of this machine's settings; None if there is none.  Its errors are logged as warnings.

    The connection timeout is short, because the user asked about a run, not about the database.
    """
    try:
        url = embedded_or_own("database", "url")
        if not _is_near(url):
            yield None
            return
        from sightline.database import open_database

        with closing(open_database(url, create=False)) as database:
            yield database
    except SightlineError as error:
        _log.warning("the database rows of runs were not updated: %s", error)


def _is_near(url: str) -> bool:
    """Whether the database file exists or the server accepts connections; a missing file is detected without SQL."""
    if url.startswith(_FILE):
        return Path(url.removeprefix(_FILE).partition("?")[0]).expanduser().is_file()
    from sightline.database.engine.address import require_supported

    parsed = require_supported(url)
    try:
        socket.create_connection((parsed.host or "localhost", parsed.port or 3306), _CONNECT_SECONDS).close()
    except OSError as error:
        _log.info("the database cannot be reached from here, so the rows of runs were not updated: %s", error)
        return False
    return True
