"""Processes on this machine."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType

POLL_SECONDS = 0.5


def is_running(pid: int) -> bool:
    """Whether a process ``pid`` exists on this machine."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def end_with_parent(parent: int = 0) -> None:
    """End this process with SIGTERM as soon as its parent has ended, for example because it was killed.

    Args:
        parent: Its process id; 0: the current parent, which may be another process if the parent has ended already.
    """
    parent = parent or os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(POLL_SECONDS)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def signals_deferred() -> Iterator[None]:
    """Call the signal handlers of this process when the ``with`` ends; use it where processes are forked.

    After a fork, Python first calls the fork hooks of its modules.  An exception that a signal handler raises in a hook
    is ignored, so the signal would be lost; and the hook of :mod:`logging` would not release its lock, on which every
    other thread that logs would wait forever.  The new process handles signals at once, with the handlers of before.
    """
    if threading.current_thread() is not threading.main_thread():  # signal handlers run in the main thread only
        yield
        return
    owner, deferring = os.getpid(), True
    received: list[int] = []
    handlers = {
        int(number): handler for number in signal.valid_signals() if callable(handler := signal.getsignal(number))
    }

    def defer(number: int, frame: FrameType | None) -> None:
        if deferring and os.getpid() == owner:
            received.append(number)
        else:
            handlers[number](number, frame)

    try:
        for number in handlers:
            signal.signal(number, defer)
        yield
    finally:
        deferring = False
        for number, handler in handlers.items():
            # torch installs a handler for SIGCHLD meanwhile, which calls the one before
            if signal.getsignal(number) is defer:
                signal.signal(number, handler)
        with ExitStack() as all_of_them:  # even if the first handler raises
            for number in sorted(set(received)):
                all_of_them.callback(signal.raise_signal, number)
