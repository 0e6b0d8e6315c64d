"""A piece of garbage, and how old things are."""

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
        kind: What it is.
        what: The key of an object or of a folder of objects, or a path.
        size_bytes: Of all its files together.
        files: How many.
        last_used: When somebody wrote to it, or used it, for the last time; UTC.
        reason: Why it is garbage, for a person.
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
        notes: What was left alone, and why; filled by :meth:`find`.
    """

    notes: list[str]

    def find(self) -> Iterator[Garbage]:
        """Everything there that nothing needs."""

    def remove(self, garbage: Sequence[Garbage]) -> Iterator[Garbage]:
        """Remove what :meth:`find` gave, as far as nobody needs it by now; yields what is gone."""


@dataclass(frozen=True, slots=True)
class SafetyAge:
    """The minimum age of garbage.

    Attributes:
        now: The time where the things lie.
        older_than: The age.
    """

    now: datetime
    older_than: timedelta

    def reached_by(self, last_used: datetime | None) -> bool:
        """Whether it is old enough to be removed; what has no time, or one in the future, is not."""
        return last_used is not None and self.now - last_used > self.older_than


@dataclass(frozen=True, slots=True)
class Tree:
    """A file or a folder with everything in it.

    Attributes:
        size_bytes: Of all files.
        files: How many.
        changed: The latest change of anything in it.
    """

    size_bytes: int
    files: int
    changed: datetime


def measure(path: Path) -> Tree:
    """Size and latest change of a file or of everything below a folder; what vanishes meanwhile does not count."""
    size, files, latest = 0, 0, 0.0
    for entry in everything_in(path):
        with contextlib.suppress(FileNotFoundError):
            status = entry.lstat()
            latest = max(latest, status.st_mtime)
            if not stat.S_ISDIR(status.st_mode):
                size, files = size + status.st_size, files + 1
    return Tree(size, files, datetime.fromtimestamp(latest, UTC))


def everything_in(path: Path) -> Iterator[Path]:
    """A file, or a folder and everything below it; folders that vanish meanwhile are left out."""
    yield path
    if path.is_dir() and not path.is_symlink():
        for parent, folders, names in os.walk(path):
            yield from (Path(parent) / name for name in [*folders, *names])


def changed(path: Path) -> datetime | None:
    """The latest change of one file or folder; None where it is gone."""
    try:
        return datetime.fromtimestamp(path.lstat().st_mtime, UTC)
    except FileNotFoundError:
        return None


def trash(work: Path) -> Path:
    """Where removed folders are renamed to before they are emptied: nobody looks for anything there."""
    return work / "trash"


def remove_tree(work: Path, path: Path) -> None:
    """Remove a file or a folder of the work volume so that no half of it is ever at its place."""
    target = trash(work) / f"{path.name}.{secrets.token_hex(4)}"
    target.parent.mkdir(exist_ok=True)
    path.rename(target)
    empty(target)


def empty(path: Path) -> None:
    """Remove a file or a folder where it lies; what is gone already counts as removed."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def local_now() -> datetime:
    """The time by the clock of this machine."""
    return datetime.now(UTC)


def volume_now(work: Path) -> datetime:
    """The time by the clock of the volume or by ours, whichever is earlier: nothing looks older than it is."""
    with tempfile.NamedTemporaryFile(dir=work, prefix=".clock.", suffix=".part") as probe:
        return min(local_now(), datetime.fromtimestamp(os.fstat(probe.fileno()).st_mtime, UTC))


def storage_now(storage: Storage) -> datetime:
    """As :func:`volume_now`, for a bucket."""
    key = f"{CLOCKS}{secrets.token_hex(8)}"
    written = storage.write_bytes(key, b"", if_generation=0)
    storage.delete(key, if_generation=written.generation)
    return min(local_now(), written.updated or local_now())


CLOCKS = "gc/clock-"
"""What the keys of the objects begin with that :func:`storage_now` writes and removes."""
