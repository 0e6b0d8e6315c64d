"""Log lines and progress: a progress bar on a terminal, a line every few seconds in a pod's log.

A task of a local run has no terminal; with ``SIGHTLINE_PROGRESS=records`` it reports its progress to its parent
process, which has one.  With ``SIGHTLINE_PROGRESS=none``, no progress is shown.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO, TypeVar

from sightline.durations import duration_text

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

LINE_INTERVAL_SECONDS = 5.0
RECORD_INTERVAL_SECONDS = 0.2
PROGRESS_VARIABLE = "SIGHTLINE_PROGRESS"
NO_PROGRESS = "none"
BYTE_UNITS = ("bytes", "kB", "MB", "GB")

_RECORD_MARK = "::progress:: "
_numbers = itertools.count(1)

Item = TypeVar("Item")

_log = logging.getLogger(__name__)


def configure_logging(level: int = logging.INFO) -> None:
    """Send Sightline's log lines to standard error, each on one line with the time.

    Args:
        level: The minimum level to show, as in :mod:`logging`.
    """
    handler = _StandardError()
    handler.setFormatter(_Coloured("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S"))
    logger = logging.getLogger("sightline")
    logger.handlers[:] = [handler]
    logger.setLevel(level)
    logger.propagate = False


class _StandardError(logging.StreamHandler[TextIO]):
    """Writes to the current standard error, which a progress bar may replace to print lines above itself."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        return sys.stderr


class _Coloured(logging.Formatter):
    """Yellow warnings and red errors on a terminal, unless ``NO_COLOR`` is set (https://no-color.org)."""

    _COLOURS = ((logging.ERROR, "\x1b[31m"), (logging.WARNING, "\x1b[33m"))

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not sys.stderr.isatty():
            return text
        colour = next((code for level, code in self._COLOURS if record.levelno >= level), "")
        return f"{colour}{text}\x1b[0m" if colour else text


@contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """Also append Sightline's log lines, with date and time, to a file."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%Y-%m-%d %H:%M:%S"))
    logger = logging.getLogger("sightline")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(min(logger.getEffectiveLevel(), logging.INFO))
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)
        handler.close()


@dataclass(frozen=True, slots=True)
class ProgressRecord:
    """The progress of another process, sent as one line on its standard error.

    Attributes:
        key: Process and operation, ``PID:NUMBER``.
        description: Description of the operation.
        total: Total number of units; None if unknown.
        unit: Name of the unit, in the plural.
        done: Number of completed units.
        ended: Whether the operation has ended.
    """

    key: str
    description: str
    total: int | None
    unit: str
    done: int
    ended: bool

    def line(self) -> str:
        """The record as a line."""
        return f"{_RECORD_MARK}{json.dumps(asdict(self))}"

    @classmethod
    def parse(cls, line: str) -> ProgressRecord | None:
        """Parse a line, possibly indented (KFP indents the output of tasks); None if it is not a record."""
        line = line.strip()
        if not line.startswith(_RECORD_MARK):
            return None
        from sightline import strict_json

        try:
            return cls(**strict_json.decode(line.removeprefix(_RECORD_MARK)))
        except (ValueError, TypeError):
            return None


class Progress:
    """The progress of a long operation, with an estimate of the remaining time.  Several threads may advance it.

    Example:
        >>> with Progress("read images", total=2, unit="images") as progress:
        ...     for _ in range(2):
        ...         progress.advance()
        >>> progress.done
        2

    Args:
        description: The operation, in the infinitive: ``"read images"``.
        total: Total number of units; ``None`` if unknown.  With 0, no bar is shown.
        unit: Name of the unit, in the plural; "bytes" are shown as kB, MB, GB.
        begin: Number of units that were done before.
        lines: False if the operation logs its own lines, so that only a bar is shown, or nothing.
    """

    def __init__(
        self,
        description: str,
        total: int | None = None,
        unit: str = "items",
        *,
        begin: int = 0,
        lines: bool = True,
    ) -> None:
        self.description = description
        self.total = total
        self.unit = unit
        self.done = self._begin = begin
        self._lines = lines
        self._key = f"{os.getpid()}:{next(_numbers)}"
        self._started = self._last_line = time.monotonic()
        self._unsaid = False
        self._lock = threading.Lock()
        self._bar: RichProgress | None = None
        self._echoes_above = False
        self._reports = False
        self._last_record = 0.0

    def __enter__(self) -> Self:
        self._started = self._last_line = time.monotonic()
        if self.total == 0 or os.environ.get(PROGRESS_VARIABLE) == NO_PROGRESS:
            self._lines = False
            return self
        if os.environ.get(PROGRESS_VARIABLE) == "records":
            self._reports = True
            self._record()
        elif sys.stderr.isatty():
            self._echoes_above = sys.stdout.isatty()
            self._bar = terminal_bar()
            self._bar.start()
            self._task = self._bar.add_task(self.description, total=self.total, unit=self.unit, completed=self.done)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._reports:
            self._record(ended=True)
        elif self._bar is not None:
            self._bar.stop()
        elif (
            self._lines and kind is None and self._unsaid and time.monotonic() - self._started >= LINE_INTERVAL_SECONDS
        ):
            self._say()

    def advance(self, units: int = 1) -> None:
        """Advance by ``units``."""
        with self._lock:
            self.done += units
            self._unsaid = True
            if self._reports:
                if time.monotonic() - self._last_record >= RECORD_INTERVAL_SECONDS:
                    self._record()
            elif self._bar is not None:
                self._bar.advance(self._task, units)
            elif self._lines and time.monotonic() - self._last_line >= LINE_INTERVAL_SECONDS:
                self._say()

    def track(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield ``items`` and advance by one after each."""
        for item in items:
            yield item
            self.advance()

    def echo(self, line: str) -> None:
        """Print a line to standard output, above the bar if both are on a terminal."""
        if self._bar is not None and self._echoes_above:
            self._bar.console.print(line, markup=False, highlight=False, emoji=False, soft_wrap=True)
        else:
            sys.stdout.write(line + "\n")

    def _record(self, *, ended: bool = False) -> None:
        self._last_record = time.monotonic()
        record = ProgressRecord(self._key, self.description, self.total, self.unit, self.done, ended)
        sys.stderr.write(record.line() + "\n")
        sys.stderr.flush()

    def _say(self) -> None:
        self._last_line = time.monotonic()
        self._unsaid = False
        _log.info("%s: %s", self.description, self._line())

    def _line(self) -> str:
        elapsed = max(time.monotonic() - self._started, 1e-9)
        rate = (self.done - self._begin) / elapsed
        done, speed = amount_text(self.done, self.unit), f"{amount_text(rate, self.unit, decimals=1)}/s"
        if not self.total:
            return f"{done}, {speed}"
        left = (self.total - self.done) / rate if rate else float("inf")
        eta = f", {duration_text(left)} left" if self.done < self.total and rate else ""
        of = done if self.unit == "bytes" else str(self.done)
        return f"{of}/{amount_text(self.total, self.unit)}, {speed}{eta}"


def terminal_bar(file: TextIO | None = None) -> RichProgress:
    """Progress bars on a terminal, by default standard error; tasks have the field ``unit``.  Honors ``NO_COLOR``."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class Amount(ProgressColumn):
        def render(self, task: Task) -> Text:
            unit = str(task.fields["unit"])
            done, total = int(task.completed), "?" if task.total is None else amount_text(int(task.total), unit)
            speed = f"  {amount_text(task.speed, unit, decimals=1)}/s" if task.speed else ""
            return Text(f"{amount_text(done, unit) if unit == 'bytes' else done}/{total}{speed}")

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        Amount(),
        TimeRemainingColumn(),
        console=Console(file=file) if file else Console(stderr=True),
        redirect_stdout=sys.stdout.isatty(),  # piped output must not appear on standard error
    )


def amount_text(amount: float, unit: str, decimals: int = 0) -> str:
    """An amount with its unit; bytes as kB, MB, GB."""
    if unit != "bytes":
        return f"{amount:.{decimals}f} {unit}"
    step = sum(amount >= 1000**power for power in (1, 2, 3))
    return f"{amount / 1000**step:.{min(step, 1)}f} {BYTE_UNITS[step]}"
