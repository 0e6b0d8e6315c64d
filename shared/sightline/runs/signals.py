"""Termination signals as exceptions, so that a process can record its state before it ends."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from sightline.processes import is_running

POLL_SECONDS = 1.0

_log = logging.getLogger(__name__)


class TaskTerminated(BaseException):
    """The process of a task received a termination signal; code that handles errors does not catch this exception."""


class Interruptions:
    """Raises one exception for Ctrl-C and termination signals until the run is being closed, then ignores them.

    Users press Ctrl-C again if nothing seems to happen, and a closed terminal sends SIGHUP.
    """

    _SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self) -> None:
        self._before: dict[int, Any] = {}
        self._closing = False

    def begin(self) -> None:
        """Install the signal handlers; works only in the main thread."""
        if threading.current_thread() is threading.main_thread():
            heard = [number for number in self._SIGNALS if signal.getsignal(number) != signal.SIG_IGN]  # nohup stays
            self._before = {number: signal.signal(number, self._interrupt) for number in heard}

    def close(self) -> None:
        """Ignore further signals."""
        self._closing = True

    def end(self) -> None:
        """Remove the signal handlers."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        if self._closing:
            _log.warning("closing the run; this takes a moment")
            return
        raise KeyboardInterrupt


@contextmanager
def ending_on_signals() -> Iterator[None]:
    """Raise :class:`TaskTerminated` when the process receives a termination signal.

    Kubernetes sends SIGTERM to a pod that is stopped, evicted or deleted, and Kubeflow kills it within one second.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        signal.signal(number, signal.SIG_IGN)  # ignore further signals while the process records its state
        raise TaskTerminated(TERMINATED)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


TERMINATED = "its process received SIGTERM: it was stopped, evicted or deleted"


def end_with(pid: int) -> None:
    """End this process as soon as the local process ``pid`` has ended, for example because it was killed.

    Otherwise a task would continue unnoticed after its run, concurrently with the same task of the next run.
    """

    def watch() -> None:
        while is_running(pid):
            time.sleep(POLL_SECONDS)
        _log.warning("the process %d that runs the pipeline has ended; ending this task", pid)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
