"""File locks, which are released even if the process is killed."""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from sightline import strict_json
from sightline.errors import RepositoryError
from sightline.url_secrets import redact

POLL_SECONDS = 0.1
LOCK_SECONDS = 6 * 3600.0
"""Default time limit for waiting: recording a training set of a million images takes hours."""

FIRST_WORD_SECONDS = 2.0
AGAIN_SECONDS = 60.0
"""Seconds after which a waiting process logs the holder, and the interval at which it repeats this."""

_SHOWN = 160

_log = logging.getLogger(__name__)


@contextmanager
def exclusive_lock(path: Path, timeout_seconds: float) -> Iterator[None]:
    """Hold the lock file ``path``; the operating system releases it when the process ends for any reason.

    Commands started by the process inherit the lock, so that commands that outlive a killed process still hold it.

    Args:
        path: The lock file; it is created and never removed.
        timeout_seconds: How long to wait for another holder; 0: try only once.

    Raises:
        RepositoryError: Another process still holds it.
    """
    with _locked(path, timeout_seconds, fcntl.LOCK_EX):
        yield


@contextmanager
def shared_lock(path: Path, timeout_seconds: float) -> Iterator[None]:
    """Hold the lock file ``path`` together with other shared holders, excluding :func:`exclusive_lock`.

    Args:
        path: The lock file; it is created and never removed.  Its modification time is the time of its last use.
        timeout_seconds: How long to wait for an exclusive holder; 0: try only once.

    Raises:
        RepositoryError: Another process still holds it exclusively.
    """
    with _locked(path, timeout_seconds, fcntl.LOCK_SH):
        os.utime(path)
        try:
            yield
        finally:
            with suppress(OSError):  # if the volume is unavailable, later operations report it
                os.utime(path)


@contextmanager
def _locked(path: Path, timeout_seconds: float, kind: int) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        os.set_inheritable(descriptor, True)
        _wait(path, descriptor, timeout_seconds, kind)
        if timeout_seconds:  # a process that only tries holds it for a moment, and need not be identified
            _sign(descriptor)
        yield
    finally:
        os.close(descriptor)


def _wait(path: Path, descriptor: int, timeout_seconds: float, kind: int) -> None:
    began = time.monotonic()
    told = began + FIRST_WORD_SECONDS - AGAIN_SECONDS
    while not _try(path, descriptor, kind):
        now = time.monotonic()
        if now - began >= timeout_seconds:
            raise RepositoryError(
                f"{path} is still locked by another process after {timeout_seconds:g} s, {_holder(path)}; wait until "
                "that process has ended, then run the same command again"
            )
        if now - told >= AGAIN_SECONDS:
            told = now
            _log.info("waiting for %s: %s", path, _holder(path))
        time.sleep(POLL_SECONDS)


def _try(path: Path, descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS}:
            raise
        raise RepositoryError(
            f"{path} cannot be locked ({error.strerror}): its file system does not support locks; use a folder on one "
            "that does, or mount it with locks (NFS: version 4, or local_lock=flock if only one machine uses it)"
        ) from error
    return True


def _sign(descriptor: int) -> None:
    """Write the holder's identity to the lock file for waiting processes; shared holders overwrite each other.

    The text is only informative: the lock is held by the operating system, and a leftover text does not block anyone.
    """
    run_id = os.environ.get("SIGHTLINE_RUN_ID", "")
    command = redact(" ".join([Path(sys.argv[0]).name, *sys.argv[1:]]))[:_SHOWN]
    holder = {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": f"run {run_id}" if run_id else command,
    }
    with suppress(OSError):  # a full disk must not prevent locking
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(holder).encode(), 0)


def _holder(path: Path) -> str:
    """The holder of a lock, as described in its file."""
    try:
        holder = strict_json.decode(path.read_bytes())
        host, pid = str(holder["host"]), int(holder["pid"])
        text = f"held by process {pid} on {host} at {holder['since']} ({str(holder['command'])[:_SHOWN]})"
    except (OSError, ValueError, KeyError, TypeError):
        return "held by an unknown process"
    if host == socket.gethostname() and not _is_alive(pid):
        text += "; that process has ended, but one that it started is still running"
    return text


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
