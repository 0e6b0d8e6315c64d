"""Pulls the files of a version into a checkout: fetches what is missing in the cache, and verifies every file.

DVC's own ``pull`` takes several times as long for many small files, and trusts its cache.  Here the manifest is
authoritative: objects missing in the cache are fetched to it and verified on the way; each file of the checkout is a
copy of an object, and is verified again.  The cache remains usable by DVC: ``dvc status`` and ``dvc checkout`` work on
the result.  If no storage back end supports the remote, ``dvc fetch`` fills the cache instead.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from sightline.data.dvc.fetching import fetch_objects
from sightline.data.dvc.manifest import Manifest, parse_manifest
from sightline.data.dvc.objects import TrackedFolder, file_md5, for_each_file, read_dvc_file
from sightline.data.dvc.remote import BucketRemote, Remote, open_remote
from sightline.data.git.commands import dvc, explain_os_errors
from sightline.data.tags import DatasetTag
from sightline.data.workspace import Workspace
from sightline.errors import RepositoryError, SightlineError
from sightline.logs import Progress

SHOWN_FILES = 20

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pull:
    """The pull of one folder of a checkout.

    Attributes:
        path: The clone.
        tag: Determines the folder and the remote.
        workspace: Provides the cache and the number of jobs (fetching processes, copying threads, DVC's transfers).
        temporary: A folder for this pull only, in the cache's file system, for incomplete objects.
        faults: A file for the names of all faulty files, if there are too many for a message.
    """

    path: Path
    tag: DatasetTag
    workspace: Workspace
    temporary: Path
    faults: Path

    def run(self) -> None:
        """Fetch, copy and verify; damaged objects in the cache are fetched again.

        Raises:
            RepositoryError: Objects are missing or damaged on the remote (every file is named), or the remote cannot
                be reached.
        """
        config = (self.path / ".dvc" / "config").read_text(encoding="utf-8")
        remote = open_remote(config, self.tag.room, str(self.path))
        text = (self.path / self.tag.dvc_file).read_text(encoding="utf-8")
        tracked = read_dvc_file(text, self.tag.dvc_file)
        manifest = self._manifest(remote, tracked)
        bad = manifest
        for _ in range(2):
            self._fetch(remote, bad, manifest, tracked.size_bytes)
            bad = self._make_files(bad)
            if not bad:
                return
            if {md5 for md5 in bad.values() if self.workspace.cache.forget_damaged(md5)}:
                _log.warning(
                    "objects of %s are damaged in the DVC cache %s; fetching them again",
                    self.tag,
                    self.workspace.cache.root,
                )
        raise RepositoryError(
            f"{len(bad)} of {len(manifest)} files of {self.tag} differ from what was published: "
            f"{self._shown(sorted(bad))}; check the disk of the work volume and run the same command again"
        )

    def _manifest(self, remote: Remote, tracked: TrackedFolder) -> Manifest:
        """The list of files, from the cache if it is intact there: its contents are verified by its MD5."""
        what = f"the list of the files of {self.tag}"
        found = self.workspace.cache.manifest(tracked.md5, what)
        if found is None:
            data = remote.read(tracked.md5, what)
            found = parse_manifest(data, what)
            with self.workspace.cache.writer(tracked.md5, self.temporary / tracked.md5) as writer:
                writer.write(data)
        return found

    def _fetch(self, remote: Remote, wanted: Manifest, manifest: Manifest, size_bytes: int) -> None:
        """Fetch the objects that the cache lacks; ``size_bytes`` is the total size of all files of the manifest."""
        lacking = self.workspace.cache.lacking(wanted)
        if not lacking:
            return
        if isinstance(remote, BucketRemote):
            faults = self._fetch_objects(remote, lacking, size_bytes * len(lacking) // max(len(manifest), 1))
        else:
            faults = self._fetch_with_dvc(remote, lacking)
        if faults:
            at_fault = [f"{name} ({faults[md5]})" for name, md5 in sorted(wanted.items()) if md5 in faults]
            raise RepositoryError(
                f"{len(at_fault)} of {len(manifest)} files of {self.tag} are missing or damaged on the DVC remote "
                f"{remote.url}: {self._shown(at_fault)}; remove the damaged objects there and push them again from a "
                f"clone that has them (dvc push --remote {self.tag.room})"
            )

    def _fetch_objects(self, remote: BucketRemote, lacking: set[str], estimate: int) -> dict[str, str]:
        """Fetch objects to the cache; returns the faults of objects that are missing or damaged on the remote."""
        with Progress(f"fetch {self.tag.folder}", total=estimate, unit="bytes") as progress:
            try:
                return fetch_objects(
                    remote.storage,
                    self.workspace.cache,
                    self.temporary,
                    lacking,
                    processes=self.workspace.jobs,
                    progress=progress,
                )
            except SightlineError as error:
                raise RepositoryError(f"{self.tag} could not be fetched: {error}") from error

    def _fetch_with_dvc(self, remote: Remote, lacking: set[str]) -> dict[str, str]:
        """Like :meth:`_fetch_objects` through DVC, which does not report the fault of each object."""
        _log.info("fetching %s with DVC: no storage back end supports %s", self.tag, remote.url)
        fetch = ["fetch", "--jobs", str(self.workspace.jobs), "--remote", self.tag.room, self.tag.dvc_file]
        try:
            dvc(*fetch, cwd=self.path, timeout_seconds=self.workspace.timeout_seconds)
        except RepositoryError:
            absent = remote.missing(lacking)
            if not absent:
                raise
            return dict.fromkeys(absent, "missing")
        return {md5: "damaged" for md5 in lacking if not self.workspace.cache.path_of(md5).is_file()}

    def _make_files(self, manifest: Manifest) -> Manifest:
        """Copy objects to the files of the checkout; returns the files that differ from the manifest."""
        folder = self.path / self.tag.folder
        for parent in {(folder / name).parent for name in manifest}:
            parent.mkdir(parents=True, exist_ok=True)

        def make(name: str) -> bool:
            path = folder / name
            try:
                self.workspace.cache.copy(manifest[name], path)
            except FileNotFoundError:  # removed concurrently by a cleanup of the cache
                return False
            return file_md5(path) == manifest[name]

        made = for_each_file(make, list(manifest), self.workspace.jobs, f"check out {self.tag.folder}")
        return {name: manifest[name] for name, right in made if not right}

    def _shown(self, names: list[str]) -> str:
        """The first names of a long list; the complete list is written to a file."""
        if len(names) <= SHOWN_FILES:
            return ", ".join(names)
        with explain_os_errors("write the list of faults"):
            self.faults.parent.mkdir(parents=True, exist_ok=True)
            self.faults.write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
        return f"{', '.join(names[:SHOWN_FILES])} and {len(names) - SHOWN_FILES} more, all of them in {self.faults}"
