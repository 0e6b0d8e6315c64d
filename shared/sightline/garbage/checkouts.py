"""Checkouts of dataset versions that are no longer used."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from sightline.data.git.commands import git, redact
from sightline.data.git.references import git_url, read_references
from sightline.data.repository.checkout import use_lock
from sightline.data.tags import DatasetTag
from sightline.data.workspace import Workspace
from sightline.database import Database
from sightline.errors import ConfigurationError, RepositoryError
from sightline.garbage.found import Garbage, SafetyAge, changed, measure, remove_tree
from sightline.lock import exclusive_lock

_NAME = re.compile(r"(?P<tag>.+)-(?P<commit>[0-9a-f]{12})")


class Checkouts:
    """``checkouts/<tag>-<commit>`` on the work volume; steps that read a checkout share its lock.

    Args:
        workspace: The data repository and the work volume.
        database: The database with the registered versions.
        safety_age: Measured by the clock of the volume.
    """

    def __init__(self, workspace: Workspace, database: Database, safety_age: SafetyAge) -> None:
        self.notes: list[str] = []
        self._workspace, self._database, self._safety_age = workspace, database, safety_age

    def find(self) -> Iterator[Garbage]:
        """See :class:`~sightline.garbage.found.Place`.

        Raises:
            RepositoryError: The data repository cannot be reached, so its tags are unknown.
        """
        folder = self._workspace.checkouts
        unused = [path for path in _checkouts(folder) if self._safety_age.reached_by(_last_used(path))]
        if not unused:
            return
        repository, timeout = self._workspace.repository, self._workspace.timeout_seconds
        known = read_references(repository, timeout)
        registered = {tag: commit for tag, (commit, _) in self._database.references().versions.items()}
        for path in unused:
            tag, _, commit = path.name.rpartition("-")
            if _origin(path, timeout) != git_url(repository):
                self.notes.append(f"{path} is a checkout of another data repository and is kept")
            elif known.is_removed(tag, commit):
                yield self._garbage(path, f"{tag} at that commit was removed (sightline data remove)")
            elif known.tags.get(tag, "").startswith(commit):
                yield self._garbage(path, "no longer used; it is checked out again when needed")
            elif registered.get(tag, "").startswith(commit):
                self.notes.append(
                    f"{path} is kept: {redact(repository)} has no {tag} at commit {commit}, but the database does, "
                    "and this may be the only copy; set the tag again, or delete the folder manually"
                )
            else:
                yield self._garbage(path, f"neither the data repository nor the database has {tag} at that commit")

    def remove(self, garbage: Sequence[Garbage]) -> Iterator[Garbage]:
        """See :class:`~sightline.garbage.found.Place`; checkouts in use are kept."""
        for entry in garbage:
            path = Path(entry.what)
            never_used = not use_lock(path).exists()
            with contextlib.suppress(RepositoryError), exclusive_lock(use_lock(path), 0.0):
                if path.is_dir() and (never_used or self._safety_age.reached_by(_last_used(path))):
                    remove_tree(self._workspace.folder, path)
                    yield entry

    def _garbage(self, path: Path, reason: str) -> Garbage:
        tree, last_used = measure(path), _last_used(path)
        return Garbage("checkout", str(path), tree.size_bytes, tree.files, last_used or tree.changed, reason)


def _checkouts(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        match = _NAME.fullmatch(path.name)
        with contextlib.suppress(ConfigurationError):
            if match and path.is_dir() and DatasetTag.parse(match["tag"]):
                yield path


def _last_used(path: Path) -> datetime | None:
    """The time of its creation or of the last use of its lock, whichever is later."""
    times = [time for time in (changed(path), changed(use_lock(path))) if time is not None]
    return max(times, default=None)


def _origin(path: Path, timeout_seconds: float) -> str:
    """The repository from which it was cloned; empty if unknown."""
    try:
        return git("config", "--get", "remote.origin.url", cwd=path, timeout_seconds=timeout_seconds).strip()
    except RepositoryError:
        return ""
