"""Reads the contents of tags of a data repository without a checkout or a pull."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sightline.data.dvc.manifest import Manifest
from sightline.data.dvc.objects import TrackedFolder, read_dvc_file
from sightline.data.dvc.remote import Remote, open_remote
from sightline.data.git.commands import git, redact
from sightline.data.git.references import git_url, read_references
from sightline.data.repository.tombstones import missing_tag
from sightline.data.suggestions.kept import ReviewSummary, summary_in
from sightline.data.tags import DatasetTag, Room
from sightline.errors import RepositoryError
from sightline.temporary_folder import temporary_folder

__all__ = ["History", "git_url", "list_tags", "open_history"]


@dataclass(frozen=True, slots=True)
class History:
    """Some tags of a data repository, fetched into a temporary folder.

    Attributes:
        repository: The data repository.
        git_dir: The temporary folder.
        timeout_seconds: Limit for one git command.
    """

    repository: str
    git_dir: Path
    timeout_seconds: float

    def commit(self, tag: DatasetTag) -> str:
        """The commit of the tag."""
        return self._git("rev-parse", f"{tag}^{{commit}}").strip()

    def date(self, tag: DatasetTag) -> int:
        """Time of that commit: seconds since 1970."""
        return int(self._git("show", "-s", "--format=%ct", f"{tag}^{{commit}}"))

    def review(self, tag: DatasetTag) -> ReviewSummary | None:
        """What people made of the suggestions that led to the version; None if it was made without suggestions."""
        return summary_in(self._git("show", "-s", "--format=%B", f"{tag}^{{commit}}"))

    def tracked(self, tag: DatasetTag) -> TrackedFolder:
        """The content of the tag's ``.dvc`` file."""
        return read_dvc_file(self._git("show", f"{tag}:{tag.dvc_file}"), f"{tag.dvc_file} of {tag}")

    def remote(self, tag: DatasetTag, room: Room) -> Remote:
        """The DVC remote for a kind of data, as configured in the tag."""
        return open_remote(self._git("show", f"{tag}:.dvc/config"), room, redact(self.repository))

    def manifest(self, tag: DatasetTag) -> Manifest:
        """The files of the tag's folder."""
        return self.remote(tag, tag.room).manifest(self.tracked(tag).md5, str(tag))

    def read(self, tag: DatasetTag, name: str) -> bytes:
        """Read one small file of the tag's folder.

        Raises:
            RepositoryError: The tag has no such file, or it is missing on the remote.
        """
        manifest = self.manifest(tag)
        if name not in manifest:
            raise RepositoryError(f"{tag} has no file {name}; it was not created by sightline record: record it again")
        return self.remote(tag, tag.room).read(manifest[name], f"{name} of {tag}")

    def _git(self, *arguments: str) -> str:
        return git(*arguments, cwd=self.git_dir, timeout_seconds=self.timeout_seconds)


def list_tags(repository: str, timeout_seconds: float) -> dict[str, str]:
    """Every tag of a repository and its commit, except for removed versions.

    Raises:
        RepositoryError: There is no such repository, or it cannot be reached.
    """
    return read_references(repository, timeout_seconds).tags


@contextmanager
def open_history(repository: str, tags: Sequence[DatasetTag], timeout_seconds: float) -> Iterator[History]:
    """Fetch the commits of ``tags`` without their history.

    Raises:
        UnknownTagError: A tag does not exist in the repository, or its version was removed.
        RepositoryError: The repository cannot be reached.
    """
    known = read_references(repository, timeout_seconds)
    for tag in tags:
        if str(tag) not in known.tags:
            raise missing_tag(repository, str(tag), known, timeout_seconds)
    url = git_url(repository)
    with temporary_folder("history") as folder:
        path = Path(folder)
        git("init", "--quiet", "--bare", "--template=", cwd=path, timeout_seconds=timeout_seconds)
        if tags:
            references = [f"+refs/tags/{tag}:refs/tags/{tag}" for tag in tags]
            fetch = ["fetch", "--quiet", "--depth", "1", "--no-tags", "--", url, *references]
            git(*fetch, cwd=path, timeout_seconds=timeout_seconds, trusted=[url])
        yield History(repository, path, timeout_seconds)
