"""Garbage on the work volume: folders of finished steps, runs that produced nothing, leftovers of killed processes."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from sightline import strict_json
from sightline.database import Database
from sightline.errors import RepositoryError
from sightline.garbage.found import (
    Garbage,
    Kind,
    SafetyAge,
    changed,
    empty,
    everything_in,
    measure,
    remove_tree,
    trash,
)
from sightline.lock import exclusive_lock
from sightline.runs.document import RUN
from sightline.runs.pages import write_index
from sightline.storage import Storage
from sightline.temporary_folder import is_left_behind

_MAKING = ("checkouts", "publish", "dvc-cache/tmp")
"""Files that are being created have the name ``<lock>.part`` while ``.locks/<lock>`` is held."""

_UNFINISHED = re.compile(r"\..+\.(?:part|html\.[a-z0-9_]{8})|\.tmp[A-Za-z0-9]{6}")
"""Names of temporary files of :func:`write_atomically` and others, of pages, and of safetensors."""

_SCRATCH = re.compile(r"tmp[a-z0-9_]{8}")
_KEY = re.compile(r"[0-9a-f]{16}")
_TRAIN_RESULT = re.compile(r"results/train/[^/]+/([0-9a-f]{16})/result\.json")
_REASONS: dict[str, tuple[Kind, str]] = {
    "train": ("training", "trained; the candidates are in the result bucket"),
    "evaluate": ("evaluation", "no longer used; an evaluation recreates it"),
    "test": ("test", "no longer used; a test recreates it"),
}


class StepFolders:
    """``train/<key>``, ``evaluate/<key>`` and ``test/<key>``, used by a step that holds ``<key>.lock``."""

    def __init__(self, work: Path, storage: Storage, safety_age: SafetyAge) -> None:
        self.notes: list[str] = []
        self._work, self._storage, self._safety_age = work, storage, safety_age

    def find(self) -> Iterator[Garbage]:
        """See :class:`~sightline.garbage.found.Place`."""
        folders = [path for step in _REASONS for path in _folders(self._work / step) if _KEY.fullmatch(path.name)]
        trained = self._trained() if folders else set()
        for path in folders:
            size = measure(path)
            kind, reason = _REASONS[path.parent.name]
            if not self._safety_age.reached_by(size.changed):
                continue
            if kind == "training" and path.name not in trained:
                self.notes.append(
                    f"{path} is an unfinished training and is kept: the command that started it resumes from there; "
                    "delete the folder if it is no longer needed"
                )
                continue
            yield Garbage(kind, str(path), size.size_bytes, size.files, size.changed, reason)

    def remove(self, garbage: Sequence[Garbage]) -> Iterator[Garbage]:
        """See :class:`~sightline.garbage.found.Place`."""
        for entry in garbage:
            path = Path(entry.what)
            with contextlib.suppress(RepositoryError), exclusive_lock(path.with_name(f"{path.name}.lock"), 0.0):
                if path.is_dir() and self._safety_age.reached_by(measure(path).changed):
                    remove_tree(self._work, path)
                    yield entry

    def _trained(self) -> set[str]:
        found = (_TRAIN_RESULT.fullmatch(info.key) for info in self._storage.list("results/train/"))
        return {match[1] for match in found if match}


class RunFolders:
    """``runs/<run>``: the journal and the page of a run."""

    def __init__(self, work: Path, database: Database, safety_age: SafetyAge) -> None:
        self.notes: list[str] = []
        self._work, self._database, self._safety_age = work, database, safety_age

    def find(self) -> Iterator[Garbage]:
        """See :class:`~sightline.garbage.found.Place`."""
        rows = self._database.references()
        for path in _folders(self._work / "runs"):
            size = measure(path)
            state = _state_of_run(path)
            if not self._safety_age.reached_by(size.changed) or path.name in rows.fruitful_runs:
                continue
            if path.name not in rows.runs or not state:
                self.notes.append(f"{path} is a run that {self._database} does not have, and is kept")
            elif state != "running":
                reason = f"{state}; it produced no model and no champion"
                yield Garbage("run", str(path), size.size_bytes, size.files, size.changed, reason)

    def remove(self, garbage: Sequence[Garbage]) -> Iterator[Garbage]:
        """See :class:`~sightline.garbage.found.Place`; the index of runs is rewritten."""
        fruitful = self._database.references().fruitful_runs
        for entry in garbage:
            path = Path(entry.what)
            quiet = path.is_dir() and self._safety_age.reached_by(measure(path).changed)
            if quiet and path.name not in fruitful and _state_of_run(path) != "running":
                remove_tree(self._work, path)
                yield entry
        if garbage:
            write_index(self._work)


class Leftovers:
    """Leftovers of killed processes: ``.part`` files and folders, scratch folders, an earlier garbage collection."""

    def __init__(self, work: Path, safety_age: SafetyAge) -> None:
        self.notes: list[str] = []
        self._work, self._safety_age = work, safety_age

    def find(self) -> Iterator[Garbage]:
        """See :class:`~sightline.garbage.found.Place`."""
        for path in self._candidates():
            size = measure(path)
            if path.parent == trash(self._work) or self._safety_age.reached_by(size.changed):
                reason = "left by a process that was killed"
                yield Garbage("temporary", str(path), size.size_bytes, size.files, size.changed, reason)

    def remove(self, garbage: Sequence[Garbage]) -> Iterator[Garbage]:
        """See :class:`~sightline.garbage.found.Place`."""
        for entry in garbage:
            path = Path(entry.what)
            lock = self._lock_of(path)
            with contextlib.suppress(RepositoryError), exclusive_lock(lock, 0.0) if lock else contextlib.nullcontext():
                if changed(path) is not None:
                    empty(path)
                    yield entry

    def _candidates(self) -> Iterator[Path]:
        yield from _entries(trash(self._work))
        for room in _MAKING:
            yield from sorted((self._work / room).glob("*.part"))
        for room in (*_REASONS, "faults", "images", "runs"):
            yield from (path for path in sorted(everything_in(self._work / room)) if _UNFINISHED.fullmatch(path.name))
        yield from (path for path in sorted((self._work / "runs").glob("*/tmp*")) if _SCRATCH.fullmatch(path.name))
        for path in _entries(Path(tempfile.gettempdir())):
            with contextlib.suppress(FileNotFoundError):
                if is_left_behind(path.name) and path.lstat().st_uid == os.getuid():
                    yield path

    def _lock_of(self, path: Path) -> Path | None:
        """The lock held by the process that creates it."""
        if path.parent in {self._work / room for room in _MAKING}:
            return path.parent / ".locks" / path.stem
        return None


def _state_of_run(folder: Path) -> str:
    """The state in ``run.json``; empty if it cannot be read."""
    try:
        return str(RUN.upgrade(strict_json.decode((folder / "run.json").read_bytes()))["state"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _folders(folder: Path) -> list[Path]:
    return [path for path in _entries(folder) if path.is_dir() and not path.is_symlink()]


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []
