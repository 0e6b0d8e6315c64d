"""Signals that tell a process to end, as exceptions: what it did so far can be written down."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class TaskTerminated(BaseException):
    """The process of a task was told to end; no exception that code which handles faults would catch."""


@contextmanager
def ending_on_signals() -> Iterator[None]:
    """Raise :class:`TaskTerminated` where the process is told to end.

    Kubernetes sends SIGTERM to a pod that is stopped, evicted or deleted, and Kubeflow kills it within a second.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        signal.signal(number, signal.SIG_IGN)  # once is enough: what follows must not be cut short
        raise TaskTerminated(TERMINATED)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


TERMINATED = "its process was told to end (SIGTERM): it was stopped, evicted or deleted"
