"""One process at a time in one place, also when that process is killed."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sightline.errors import RepositoryError

POLL_SECONDS = 0.1


@contextmanager
def exclusive_lock(path: Path, timeout_seconds: float) -> Iterator[None]:
    """Hold the lock file ``path``; the system frees it when the process ends, however it ends.

    Commands that the process starts inherit the lock, so that what outlives a killed process is waited for.

    Args:
        path: The lock file; it is made, and stays.
        timeout_seconds: How long to wait for another holder; 0 tries once.

    Raises:
        RepositoryError: Another process still holds it.
    """
    with _locked(path, timeout_seconds, fcntl.LOCK_EX):
        yield


@contextmanager
def shared_lock(path: Path, timeout_seconds: float) -> Iterator[None]:
    """Hold the lock file ``path`` together with others who do so, and keep out :func:`exclusive_lock`.

    Args:
        path: The lock file; it is made, and stays.  Its modification time says when it was held last.
        timeout_seconds: How long to wait for an exclusive holder; 0 tries once.

    Raises:
        RepositoryError: Another process still holds it for itself alone.
    """
    with _locked(path, timeout_seconds, fcntl.LOCK_SH):
        os.utime(path)
        try:
            yield
        finally:
            with suppress(OSError):  # the volume may be gone, and why is for others to say
                os.utime(path)


@contextmanager
def _locked(path: Path, timeout_seconds: float, kind: int) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        os.set_inheritable(descriptor, True)
        deadline = time.monotonic() + timeout_seconds
        while not _try(descriptor, kind):
            if time.monotonic() >= deadline:
                raise RepositoryError(
                    f"another process still works there ({path} is locked after {timeout_seconds:g} s); "
                    "wait until it is done and run the same command again"
                )
            time.sleep(POLL_SECONDS)
        yield
    finally:
        os.close(descriptor)


def _try(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
