"""Database rows of runs, compared with the state on Kubeflow.

Tasks write the rows.  What they cannot know or could not say any more, the commands that ask Kubeflow put right: that a
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
_NO_WORD = "its pods ended without a word"

_log = logging.getLogger(__name__)


def note_stop(run: Run) -> bool:
    """Record in the row of a run which user is stopping it; ``finish`` reads it there.

    Returns:
        Whether it was written: the database that this machine knows may be another, or out of reach.
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
        runs: As Kubeflow described them just now; those that go on are left alone, for their tasks write their rows.

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
                lines.append(f"the database said {row.state} of run {run_id[:8]}, now it says {right[0]}")
    return lines


def stop_message(run: Run) -> str:
    """That somebody stopped a run, and when; empty where nobody did since it was started or resumed."""
    moment = stopped_at(run.document)
    return f"stopped at {_text(moment)}, Kubeflow does not say by whom; {_remedy(run)}" if moment else ""


def ask_for_stop() -> str:
    """Ask Kubeflow, from a pod of a run, whether somebody stopped the run; empty too where the pod may not ask."""
    run_id = current_run_id()
    try:
        with connect(find_profile({})) as kubeflow:
            return stop_message(read_run(kubeflow.api.run(run_id)))
    except SightlineError as error:
        _log.info("cannot tell from here whether someone stopped the run: %s", error)
        return ""


def _right(run: Run, known: RunState) -> tuple[RunState, str] | None:
    """State and message that a row ought to have; None where it has them."""
    if known in {run.state, "succeeded"} or (run.state == "failed" and known == "interrupted"):
        return None  # a run whose tasks all did their part is a success, though its page could not be written
    if run.state == "failed":
        return "failed", f"{_NO_WORD}; `python pipeline.py status {run.run_id}` reads pods and events"
    return ("stopped", stop_message(run)) if run.state == "stopped" else ("succeeded", "")


def _remedy(run: Run) -> str:
    return f"`python pipeline.py resume {run.run_id}` resumes it"


def _text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _somebody() -> str:
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a user of a container without a name
        name = f"user {os.getuid()}"
    return f"{name}@{socket.gethostname()}"


@contextmanager
def _database() -> Iterator[Database | None]:
    """The database of this machine's settings; None where there is none, and what it refuses is a warning.

    Nobody who asks about a run wants to wait until a database is given up.
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
    """Whether a database is there, or its server takes connections; a file that is not there is seen without SQL."""
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
