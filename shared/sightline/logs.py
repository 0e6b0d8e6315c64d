"""Log lines and progress: a bar on a terminal, a line every few seconds in a pod's log."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

LINE_INTERVAL_SECONDS = 5.0
BYTE_UNITS = ("bytes", "kB", "MB", "GB")

Item = TypeVar("Item")

_log = logging.getLogger(__name__)


def configure_logging(level: int = logging.INFO) -> None:
    """Send Sightline's log lines to standard error, one line each, with the time in front.

    Args:
        level: The least level that is shown, as in :mod:`logging`.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S"))
    logger = logging.getLogger("sightline")
    logger.handlers[:] = [handler]
    logger.setLevel(level)
    logger.propagate = False


@contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """Append Sightline's log lines, with date and time in front, to a file as well."""
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


class Progress:
    """How far a long piece of work is, with an estimate of the time left.  Several threads may advance it.

    Example:
        >>> with Progress("read images", total=2, unit="images") as progress:
        ...     for _ in range(2):
        ...         progress.advance()
        >>> progress.done
        2

    Args:
        description: What is done, in the infinitive: ``"read images"``.
        total: How many units there are; ``None`` when nobody knows.
        unit: The name of one unit, in the plural; "bytes" are shown as kB, MB, GB.
    """

    def __init__(self, description: str, total: int | None = None, unit: str = "items") -> None:
        self.description = description
        self.total = total
        self.unit = unit
        self.done = 0
        self._started = self._last_line = time.monotonic()
        self._unsaid = False
        self._lock = threading.Lock()
        self._bar: RichProgress | None = None

    def __enter__(self) -> Self:
        self._started = self._last_line = time.monotonic()
        if sys.stderr.isatty():
            self._bar = _terminal_bar(self.unit)
            self._bar.start()
            self._task = self._bar.add_task(self.description, total=self.total, unit=self.unit)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        elif kind is None and self._unsaid and time.monotonic() - self._started >= LINE_INTERVAL_SECONDS:
            self._say()

    def advance(self, units: int = 1) -> None:
        """Say that ``units`` more are done."""
        with self._lock:
            self.done += units
            self._unsaid = True
            if self._bar is not None:
                self._bar.advance(self._task, units)
            elif time.monotonic() - self._last_line >= LINE_INTERVAL_SECONDS:
                self._say()

    def track(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield ``items`` and advance by one after each."""
        for item in items:
            yield item
            self.advance()

    def _say(self) -> None:
        self._last_line = time.monotonic()
        self._unsaid = False
        _log.info("%s: %s", self.description, self._line())

    def _line(self) -> str:
        elapsed = max(time.monotonic() - self._started, 1e-9)
        rate = self.done / elapsed
        done, speed = self._shown(self.done), f"{self._shown(rate, decimals=1)}/s"
        if not self.total:
            return f"{done}, {speed}"
        left = (self.total - self.done) / rate if rate else float("inf")
        eta = f", {left:.0f} s left" if self.done < self.total and rate else ""
        of = done if self.unit == "bytes" else str(self.done)
        return f"{of}/{self._shown(self.total)}, {speed}{eta}"

    def _shown(self, amount: float, decimals: int = 0) -> str:
        if self.unit != "bytes":
            return f"{amount:.{decimals}f} {self.unit}"
        step = sum(amount >= 1000**power for power in (1, 2, 3))
        return f"{amount / 1000**step:.{min(step, 1)}f} {BYTE_UNITS[step]}"


def _terminal_bar(unit: str) -> RichProgress:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    counted = [MofNCompleteColumn(), TextColumn("{task.fields[unit]}")]
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        *([DownloadColumn(), TransferSpeedColumn()] if unit == "bytes" else counted),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
