"""Objects of the DVC cache on the work volume that no dataset version needs."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from sightline.data.dvc.manifest import parse_manifest
from sightline.data.dvc.objects import read_dvc_file
from sightline.data.git.references import read_references
from sightline.data.repository.history import open_history
from sightline.data.tags import DatasetTag, dataset_tags
from sightline.data.workspace import Workspace
from sightline.database import Database
from sightline.errors import RepositoryError
from sightline.garbage.found import Garbage, SafetyAge
from sightline.lock import exclusive_lock

_OBJECT = re.compile(r"[0-9a-f]{30}(?:\.dir)?")


class DataCache:
    """``dvc-cache`` on the work volume; processes that fill or read it share its lock.

    An object is needed if a tag of the data repository, a version of the database, or a checkout refers to it.

    Args:
        workspace: The data repository and the work volume.
        database: The database with the registered versions.
        safety_age: Measured by the clock of the volume.
    """

    def __init__(self, workspace: Workspace, database: Database, safety_age: SafetyAge) -> None:
        self.notes: list[str] = []
        self._workspace, self._database, self._safety_age = workspace, database, safety_age
        self._objects = workspace.cache.root / "files" / "md5"

    def find(self) -> Iterator[Garbage]:
        """See :class:`~sightline.garbage.found.Place`."""
        old = list(self._old())
        if not old:
            return
        try:
            needed = self._needed()
        except RepositoryError as error:
            self.notes.append(
                f"the DVC cache {self._objects.parents[1]} is kept: it is unknown which objects are needed: {error}"
            )
            return
        for entry in old:
            if _md5(Path(entry.what)) not in needed:
                yield entry

    def remove(self, garbage: Sequence[Garbage]) -> Iterator[Garbage]:
        """See :class:`~sightline.garbage.found.Place`; nothing is removed while the cache is in use."""
        if not garbage:
            return
        with contextlib.suppress(RepositoryError), exclusive_lock(self._workspace.cache_lock, 0.0):
            still = {entry.what for entry in self.find()}
            for entry in garbage:
                if entry.what in still:
                    Path(entry.what).unlink(missing_ok=True)
                    yield entry

    def _old(self) -> Iterator[Garbage]:
        for folder in sorted(self._objects.iterdir()) if self._objects.is_dir() else []:
            for path in sorted(folder.iterdir()) if folder.is_dir() else []:
                if not _OBJECT.fullmatch(path.name):
                    continue
                status = path.lstat()
                last_used = datetime.fromtimestamp(status.st_mtime, UTC)
                if self._safety_age.reached_by(last_used):
                    reason = "no tag, no registered version and no checkout needs it"
                    yield Garbage("cache entry", str(path), status.st_size, 1, last_used, reason)

    def _needed(self) -> set[str]:
        """The MD5 of all needed objects; those of lists of files end in ``.dir``.

        Raises:
            RepositoryError: The list of a tag's files is readable neither in the cache nor on its remote.
        """
        repository, timeout = self._workspace.repository, self._workspace.timeout_seconds
        known = read_references(repository, timeout)
        commits = known.tags
        registered = {
            tag: (commit, digest)
            for tag, (commit, digest) in self._database.references().versions.items()
            if not known.is_removed(tag, commit)
        }
        needed: set[str] = set()
        unknown: list[DatasetTag] = []
        for tag in dataset_tags(commits):
            commit, digest = registered.get(str(tag), ("", ""))
            if commit != commits[str(tag)] or not self._add(digest, needed):
                unknown.append(tag)
        for digest in [*self._of_checkouts(), *(digest for _, digest in registered.values())]:
            self._add(digest, needed)
        if unknown:
            with open_history(repository, unknown, timeout) as history:
                for tag in unknown:
                    needed.add(history.tracked(tag).md5)
                    needed.update(history.manifest(tag).values())
        return needed

    def _add(self, digest: str, needed: set[str]) -> bool:
        """Add a list of files and its files; False if the cache does not contain the list."""
        needed.add(digest)
        try:
            data = self._path_of(digest).read_bytes()
            needed.update(parse_manifest(data, digest).values())
        except (OSError, RepositoryError):
            return False
        return True

    def _of_checkouts(self) -> Iterable[str]:
        """The digests in the ``.dvc`` files of all checkouts and publications, including incomplete ones."""
        for room in (self._workspace.checkouts, self._workspace.publications):
            # One checkout at a time: glob fails when a folder is renamed or removed meanwhile.
            for checkout in sorted(room.glob("*")):
                for path in _listed_again(checkout, "*/*.dvc"):
                    with contextlib.suppress(OSError, RepositoryError):
                        yield read_dvc_file(path.read_text(encoding="utf-8"), str(path)).md5

    def _path_of(self, digest: str) -> Path:
        return self._objects / digest[:2] / digest[2:]


def _listed_again(folder: Path, pattern: str) -> list[Path]:
    """The files in a folder that another process may be moving; those of a folder that is gone are none.

    An incomplete checkout becomes complete by a rename, so its files are then found under the other name.
    """
    for place in (folder, folder.with_suffix("")):
        with contextlib.suppress(FileNotFoundError):
            if found := sorted(place.glob(pattern)):
                return found
    return []


def _md5(path: Path) -> str:
    return path.parent.name + path.name
