"""The description of garbage, and its age."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, Protocol

from sightline.storage import Storage

Kind = Literal[
    "result", "model", "training", "evaluation", "test", "run", "checkout", "cache entry", "code", "temporary"
]


@dataclass(frozen=True, slots=True)
class Garbage:
    """A file or folder that is not needed.

    Attributes:
        kind: The kind of object.
        what: The key of an object or of a folder of objects, or a path.
        size_bytes: Total size of all its files.
        files: Number of files.
        last_used: Time of the last write or use; UTC.
        reason: Why it is garbage, for users.
    """

    kind: Kind
    what: str
    size_bytes: int
    files: int
    last_used: datetime
    reason: str


class Place(Protocol):
    """A location to search for garbage.

    Attributes:
        notes: Objects that are kept, and why; filled by :meth:`find`.
    """

    notes: list[str]

    def find(self) -> Iterator[Garbage]:
        """Find all garbage in this place."""

    def remove(self, garbage: Sequence[Garbage]) -> Iterator[Garbage]:
        """Remove the result of :meth:`find`, except for objects that are needed by now; yields the removed objects."""


@dataclass(frozen=True, slots=True)
class SafetyAge:
    """The minimum age of garbage.

    Attributes:
        now: The current time by the clock of the place.
        older_than: The minimum age.
    """

    now: datetime
    older_than: timedelta

    def reached_by(self, last_used: datetime | None) -> bool:
        """Whether it is old enough to be removed; an unknown or future time is not."""
        return last_used is not None and self.now - last_used > self.older_than


@dataclass(frozen=True, slots=True)
class Tree:
    """The contents of a file or a folder.

    Attributes:
        size_bytes: Total size of all files.
        files: Number of files.
        changed: The latest change of any file or folder in it.
    """

    size_bytes: int
    files: int
    changed: datetime


def measure(path: Path) -> Tree:
    """Size and latest change of a file or of all contents of a folder; files that vanish meanwhile do not count."""
    size, files, latest = 0, 0, 0.0
    for entry in everything_in(path):
        with contextlib.suppress(FileNotFoundError):
            status = entry.lstat()
            latest = max(latest, status.st_mtime)
            if not stat.S_ISDIR(status.st_mode):
                size, files = size + status.st_size, files + 1
    return Tree(size, files, datetime.fromtimestamp(latest, UTC))


def everything_in(path: Path) -> Iterator[Path]:
    """A file, or a folder and all its contents; folders that vanish meanwhile are left out."""
    yield path
    if path.is_dir() and not path.is_symlink():
        for parent, folders, names in os.walk(path):
            yield from (Path(parent) / name for name in [*folders, *names])


def changed(path: Path) -> datetime | None:
    """The latest change of one file or folder; None if it does not exist."""
    try:
        return datetime.fromtimestamp(path.lstat().st_mtime, UTC)
    except FileNotFoundError:
        return None


def trash(work: Path) -> Path:
    """The folder to which removed folders are renamed before they are deleted; no other code reads it."""
    return work / "trash"


def remove_tree(work: Path, path: Path) -> None:
    """Remove a file or a folder of the work volume without ever leaving a partial folder in its place."""
    target = trash(work) / f"{path.name}.{secrets.token_hex(4)}"
    target.parent.mkdir(exist_ok=True)
    path.rename(target)
    empty(target)


def empty(path: Path) -> None:
    """Delete a file or a folder; a missing one counts as deleted."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def local_now() -> datetime:
    """The time by the clock of this machine."""
    return datetime.now(UTC)


def volume_now(work: Path) -> datetime:
    """The time by the clock of the volume or this machine, whichever is earlier, so that no age is overestimated."""
    with tempfile.NamedTemporaryFile(dir=work, prefix=".clock.", suffix=".part") as probe:
        return min(local_now(), datetime.fromtimestamp(os.fstat(probe.fileno()).st_mtime, UTC))


def storage_now(storage: Storage) -> datetime:
    """Like :func:`volume_now`, for a bucket."""
    key = f"{CLOCKS}{secrets.token_hex(8)}"
    written = storage.write_bytes(key, b"", if_generation=0)
    storage.delete(key, if_generation=written.generation)
    return min(local_now(), written.updated or local_now())


CLOCKS = "gc/clock-"
"""Key prefix of the objects that :func:`storage_now` writes and removes."""
