"""The journal of a run on the work volume: state, times, inputs and outputs of each task.

The run's id is read from the environment (``SIGHTLINE_RUN_ID``) and is not a parameter of any task: a parameter that
differs between runs would prevent Kubeflow from reusing finished tasks.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from sightline.documents import DocumentError, DocumentKind
from sightline.errors import ConfigurationError, DataError, StepError, UnknownTagError
from sightline.files import write_atomically
from sightline.pod import current_run_id
from sightline.processes import is_running
from sightline.runs.folder import run_folder
from sightline.runs.signals import TaskTerminated, ending_on_signals

_log = logging.getLogger(__name__)

GONE = "its process is gone; run the same command to resume"
BY_HAND = "interrupted by hand; run the same command to resume"

TO_CORRECT = (ConfigurationError, DataError, UnknownTagError)
"""Errors that persist until the configuration or the data are corrected."""

TaskState = Literal["running", "succeeded", "reused", "failed", "interrupted"]


@dataclass(slots=True)
class TaskEntry:
    """One task of a run.

    Attributes:
        step: Its name in :mod:`sightline.runs.step_table`.
        state: State of the task; ``reused`` is a success whose work was already done.
        started: Start time, UTC, ISO 8601.
        seconds: Duration; 0 while it runs.
        pid: The process that runs it.
        host: The machine or pod that it runs on.
        inputs: Name -> value, for users.
        outputs: Name -> value, for users.
        message: Why it failed.
        result: The result as JSON; empty until the task has one.
        attempt: 1, or more if Kubeflow restarted a failed container.
        resumed: How often the run had been resumed when the task started.
        needs_correction: Whether configuration or data caused the failure, so that the same command would fail again.
    """

    step: str
    state: TaskState = "running"
    started: str = ""
    seconds: float = 0.0
    pid: int = 0
    host: str = ""
    inputs: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    message: str = ""
    result: str = ""
    attempt: int = 1
    resumed: int = 0
    needs_correction: bool = False


TASK_ENTRY = DocumentKind("journal entry", TaskEntry)


@contextmanager
def journalled(
    work: Path, step: str, inputs: dict[str, str], *, attempt: int = 1, resumed: int = 0
) -> Iterator[TaskEntry]:
    """Record one task in the journal: running when it starts, succeeded or failed when it ends.

    Args:
        work: The work volume.
        step: The task's name.
        inputs: Name -> value of its inputs.
        attempt: Number of Kubeflow's attempt, from 1.
        resumed: How often the run was resumed.

    Yields:
        The entry, to be filled with outputs and result.

    Raises:
        StepError: The journal cannot be written.
    """
    run_id = current_run_id()
    started = datetime.now(UTC).isoformat(timespec="seconds")
    entry = TaskEntry(step, started=started, inputs=inputs, attempt=attempt, resumed=resumed)
    entry.pid, entry.host = os.getpid(), socket.gethostname()
    began = time.monotonic()
    try:
        write_entry(work, run_id, entry)
        with ending_on_signals():
            yield entry
        if entry.state == "running":
            entry.state = "succeeded"
    except KeyboardInterrupt:
        entry.state, entry.message = "interrupted", BY_HAND
        raise
    except TaskTerminated as error:
        entry.state, entry.message = "interrupted", str(error)
        raise
    except Exception as error:
        entry.state, entry.message = "failed", str(error) or type(error).__name__
        entry.needs_correction = isinstance(error, TO_CORRECT)
        raise
    finally:
        entry.seconds = time.monotonic() - began
        try:
            write_entry(work, run_id, entry)
        except StepError as fault:
            if entry.state not in {"failed", "interrupted"}:
                raise
            _log.warning("%s", fault)  # the error of the task is more important


@contextmanager
def finishing(work: Path, run_id: str) -> Iterator[Callable[[], None]]:
    """Keep the journal of finish, which closes a run.

    Yields:
        A function to be called when all work except the page is done: the page shows finish with the time until then.
    """
    entry = TaskEntry("finish", started=datetime.now(UTC).isoformat(timespec="seconds"))
    entry.pid, entry.host = os.getpid(), socket.gethostname()
    began = time.monotonic()

    def write(state: TaskState, message: str = "") -> None:
        entry.state, entry.message, entry.seconds = state, message, time.monotonic() - began
        try:
            write_entry(work, run_id, entry)
        except StepError as error:
            _log.warning("%s", error)  # closing the run is more important

    write("running")
    try:
        yield lambda: write("succeeded")
    except BaseException as error:
        write("failed", str(error) or type(error).__name__)
        raise
    write("succeeded")


def remove_entry(work: Path, run_id: str, step: str) -> None:
    """Remove a task from the journal; a missing entry is ignored."""
    with suppress(FileNotFoundError):
        (run_folder(work, run_id) / "tasks" / f"{step}.json").unlink()


def note_reused(work: Path, step: str, result: str) -> None:
    """Add a task that never started because Kubeflow reused its result from another run.

    Raises:
        StepError: The journal cannot be written.
    """
    started = datetime.now(UTC).isoformat(timespec="seconds")
    entry = TaskEntry(step, "reused", started, outputs={"taken from": "Kubeflow's cache"}, result=result)
    write_entry(work, current_run_id(), entry)


def read_journal(work: Path, run_id: str) -> dict[str, TaskEntry]:
    """The tasks of a run by step; a running task whose process has ended is reported as interrupted.

    Raises:
        StepError: An entry cannot be read.
    """
    entries = {}
    for path in sorted((run_folder(work, run_id) / "tasks").glob("*.json")):
        entry = _entry(path)
        if entry.state == "running" and not process_is_alive(entry.pid, entry.host):
            entry.state, entry.message = "interrupted", GONE
        entries[entry.step] = entry
    return entries


def _entry(path: Path) -> TaskEntry:
    """Read the entry of a task, written by this release or a newer one."""
    try:
        return TASK_ENTRY.decode(path.read_bytes())
    except DocumentError as error:
        remedy = error.remedy("restore it, or remove it to forget the task")
        raise StepError(f"{path} cannot be read ({error}); {remedy}") from error


def write_entry(work: Path, run_id: str, entry: TaskEntry) -> None:
    """Write the entry of a task; does nothing outside a run.

    Raises:
        StepError: The journal cannot be written.
    """
    if run_id:
        write_atomically(
            run_folder(work, run_id) / "tasks" / f"{entry.step}.json", json.dumps(TASK_ENTRY.encode(entry), indent=1)
        )


def process_is_alive(pid: int, host: str) -> bool:
    """Whether a process ``pid`` exists on this machine; processes on another ``host`` are assumed to be alive."""
    return host not in {"", socket.gethostname()} or is_running(pid)
