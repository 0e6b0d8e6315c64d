"""Terminal output of a local run: Sightline's own log lines and progress bars; everything else goes to a log file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import TextIOBase
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from sightline.logs import PROGRESS_VARIABLE, ProgressRecord, terminal_bar

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

OWN_LINE = re.compile(r"^\s*(\d\d:\d\d:\d\d (INFO(?! +metrics: )|WARNING|ERROR|CRITICAL) .*)")
"""Lines shown on the terminal; metrics lines are left out, because the steps also log them in a readable form."""

STYLES = {"WARNING": "yellow", "ERROR": "red", "CRITICAL": "bold red"}


class _Bars:
    """Progress bars of tasks on a terminal; log lines appear above them, colored by level."""

    def __init__(self, terminal: TextIO) -> None:
        self._bar: RichProgress = terminal_bar(terminal)
        self._tasks: dict[str, TaskID] = {}

    def print(self, line: str, level: str) -> None:
        self._bar.console.print(
            line, style=STYLES.get(level, ""), markup=False, highlight=False, emoji=False, soft_wrap=True
        )

    def show(self, record: ProgressRecord) -> None:
        for key in [key for key in self._tasks if key.partition(":")[0] != record.key.partition(":")[0]]:
            self._bar.remove_task(self._tasks.pop(key))  # the process was killed
        if record.ended:
            if record.key in self._tasks:
                self._bar.remove_task(self._tasks.pop(record.key))
            return
        if record.key not in self._tasks:
            self._tasks[record.key] = self._bar.add_task(record.description, total=record.total, unit=record.unit)
        self._bar.update(self._tasks[record.key], completed=record.done)

    def __enter__(self) -> _Bars:
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        for task in self._tasks.values():
            self._bar.remove_task(task)
        self._bar.stop()


class _Filter(TextIOBase):
    """A text stream that writes complete lines to a log file, and Sightline's log lines also to the terminal."""

    def __init__(self, terminal: TextIO, log: TextIO, bars: _Bars | None) -> None:
        self._terminal = terminal
        self._log = log
        self._bars = bars
        self._line = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            record = ProgressRecord.parse(line)
            if record is not None:
                if self._bars is not None:
                    self._bars.show(record)
                continue
            self._log.write(line + "\n")
            if own := OWN_LINE.match(line):
                self._print(own[1], own[2])
        self.flush()
        return len(text)

    def flush(self) -> None:
        self._log.flush()
        self._terminal.flush()

    def _print(self, line: str, level: str) -> None:
        if self._bars is not None:
            self._bars.print(line, level)
        else:
            self._terminal.write(line + "\n")


@contextmanager
def only_own_lines(log_path: Path) -> Iterator[None]:
    """Send standard output and error to ``log_path``; only Sightline's own log lines reach the terminal.

    On a terminal, tasks report their progress, which is shown as bars.
    """
    import sys

    log_path.parent.mkdir(parents=True, exist_ok=True)
    bars = _Bars(sys.stderr) if sys.stderr.isatty() else None
    with (
        log_path.open("a", encoding="utf-8") as log,
        bars or _nothing(),
        _tasks_report(bars is not None),
        redirect_stderr(_Filter(sys.stderr, log, bars)),
        redirect_stdout(_Filter(sys.stdout, log, bars)),
    ):
        yield


@contextmanager
def _tasks_report(wanted: bool) -> Iterator[None]:
    """Let processes that are started in the context report their progress."""
    if not wanted:
        yield
        return
    os.environ[PROGRESS_VARIABLE] = "records"
    try:
        yield
    finally:
        del os.environ[PROGRESS_VARIABLE]


@contextmanager
def _nothing() -> Iterator[None]:
    yield
