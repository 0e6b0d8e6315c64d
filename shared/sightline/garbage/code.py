"""Code snapshots that no run or model was made with, in the result bucket and on the code volume."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import sightline_bootstrap
from sightline.code.bucket import SNAPSHOT_KEY, read_pointer
from sightline.code.volume import remove_folder, remove_snapshot
from sightline.database import Database
from sightline.errors import CodeError, PreconditionFailedError
from sightline.garbage.found import Garbage, Kind, SafetyAge, changed, measure
from sightline.storage import ObjectInfo, Storage
from sightline_bootstrap import SnapshotError

_REASON = "not the current code, and no run or model was made with it"


class BucketCode:
    """``code/snapshots/<revision>.json`` in the result bucket."""

    def __init__(self, storage: Storage, database: Database, safety_age: SafetyAge) -> None:
        self.notes: list[str] = []
        self._storage, self._database, self._safety_age = storage, database, safety_age
        self._judged: dict[str, tuple[str, ObjectInfo]] = {}

    def find(self) -> Iterator[Garbage]:
        """See :class:`~sightline.garbage.found.Place`.

        Raises:
            CodeError: The current snapshot cannot be determined.
        """
        needed = self._needed()
        for info in self._storage.list("code/snapshots/"):
            match = SNAPSHOT_KEY.fullmatch(info.key)
            if match and match[1] not in needed and info.updated and self._safety_age.reached_by(info.updated):
                self._judged[info.key] = match[1], info
                yield Garbage("code", info.key, info.size, 1, info.updated, _REASON)

    def remove(self, garbage: Sequence[Garbage]) -> Iterator[Garbage]:
        """See :class:`~sightline.garbage.found.Place`; publishers renew the object before they update the pointer."""
        needed = self._needed() if garbage else set()
        for entry in garbage:
            revision, info = self._judged[entry.what]
            with suppress(PreconditionFailedError):
                if revision not in needed:
                    self._storage.delete(info.key, if_generation=info.generation)
                    yield entry

    def _needed(self) -> set[str]:
        pointer, _ = read_pointer(self._storage)
        return {*self._database.references().code_revisions, *([pointer.revision] if pointer else [])}


class VolumeCode:
    """``snapshots/<revision>`` on the code volume, and leftovers of killed publishers."""

    def __init__(self, volume: Path, database: Database, safety_age: SafetyAge) -> None:
        self.notes: list[str] = []
        self._volume, self._database, self._safety_age = volume, database, safety_age

    def find(self) -> Iterator[Garbage]:
        """See :class:`~sightline.garbage.found.Place`.

        Raises:
            CodeError: The current snapshot cannot be determined.
        """
        needed = self._needed()
        for revision in sightline_bootstrap.revisions(self._volume):
            if revision not in needed:
                yield from self._old("code", self._volume / "snapshots" / revision, _REASON)
        for path in sorted([*self._volume.glob(".*.part"), *self._volume.glob("snapshots/.*.part")]):
            yield from self._old("temporary", path, "left by a process that was killed")

    def remove(self, garbage: Sequence[Garbage]) -> Iterator[Garbage]:
        """See :class:`~sightline.garbage.found.Place`; a snapshot pinned or published in the meantime is kept."""
        for entry in garbage:
            path = Path(entry.what)
            if entry.kind == "code":
                gone = path.is_dir() and remove_snapshot(self._volume, path.name, self._still(path.name))
            else:
                gone = changed(path) is not None
                if gone:
                    remove_folder(path)
            if gone:
                yield entry

    def _still(self, revision: str) -> Callable[[Path], bool]:
        return lambda path: revision not in self._needed() and self._safety_age.reached_by(measure(path).changed)

    def _old(self, kind: Kind, path: Path, reason: str) -> Iterator[Garbage]:
        size = measure(path)
        if self._safety_age.reached_by(size.changed):
            yield Garbage(kind, str(path), size.size_bytes, size.files, size.changed, reason)

    def _needed(self) -> set[str]:
        try:
            current = sightline_bootstrap.current(self._volume)
        except SnapshotError as error:
            raise CodeError(f"{error}; until then gc cannot tell which code is needed") from error
        return {*self._database.references().code_revisions, *([current] if current else [])}
