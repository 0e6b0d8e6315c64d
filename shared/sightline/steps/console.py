"""A quiet terminal during a local run: Sightline's own lines pass, everything goes to a log file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import TextIOBase
from pathlib import Path
from typing import TextIO

OWN_LINE = re.compile(r"^\s*(\d\d:\d\d:\d\d (?:INFO|WARNING|ERROR|CRITICAL) .*)")


class _Filter(TextIOBase):
    """A text stream that writes whole lines to a log, and those that Sightline logged to the terminal too."""

    def __init__(self, terminal: TextIO, log: TextIO) -> None:
        self._terminal = terminal
        self._log = log
        self._line = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            self._log.write(line + "\n")
            own = OWN_LINE.match(line)
            if own:
                self._terminal.write(own[1] + "\n")
        self.flush()
        return len(text)

    def flush(self) -> None:
        self._log.flush()
        self._terminal.flush()


@contextmanager
def only_own_lines(log_path: Path) -> Iterator[None]:
    """Send standard output and error to ``log_path`` and let only Sightline's own log lines reach the terminal."""
    import sys

    log_path.parent.mkdir(parents=True, exist_ok=True)
    with (
        log_path.open("a", encoding="utf-8") as log,
        redirect_stderr(_Filter(sys.stderr, log)),
        redirect_stdout(_Filter(sys.stdout, log)),
    ):
        yield
