"""Processes on this machine."""

from __future__ import annotations

import os
import signal
import threading
import time

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
