"""The references of a data repository: dataset versions, and removed versions.

A version is removed by a tombstone, an annotated tag ``removed/<tag>/<commit>``.  It applies to that commit only and
is never deleted, so a clone that still has the old tag and pushes it again does not restore the version.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from sightline.data.git.commands import git, not_readable, redact
from sightline.data.tags import dataset_tags
from sightline.errors import RepositoryError
from sightline.url_secrets import holds_secret

TAGS = "refs/tags/"
TOMBSTONES = f"{TAGS}removed/"

_TOMBSTONE = re.compile(rf"{TOMBSTONES}(?P<tag>[^/]+)/(?P<commit>[0-9a-f]{{40,64}})")


_SERVER = re.compile(r"[^/\s]+:")
"""How git distinguishes ``host:path`` from a local path."""


@dataclass(frozen=True, slots=True)
class References:
    """The tags of a repository at one point in time.

    Attributes:
        tags: Tag -> its commit, without tags of removed versions.
        removed: Dataset tag -> its commits when it was removed.
        objects: Full name of each tag -> its object: the commit, or the tag object.
    """

    tags: dict[str, str]
    removed: Mapping[str, frozenset[str]]
    objects: Mapping[str, str]

    def is_removed(self, tag: str, commit: str) -> bool:
        """Whether ``tag`` was removed at ``commit`` (complete, or at least its first 12 digits)."""
        return any(other.startswith(commit) for other in self.removed.get(tag, ())) if len(commit) >= 12 else False


def tombstone_reference(tag: str, commit: str) -> str:
    """The full name of the tombstone of a version."""
    return f"{TOMBSTONES}{tag}/{commit}"


def git_url(repository: str) -> str:
    """``repository`` as git accepts it; a path becomes a ``file://`` URL, for which git honors ``--depth``.

    Raises:
        RepositoryError: It contains a password or token, or is in a folder that this user may not read.
    """
    if holds_secret(repository):
        raise RepositoryError(
            f"the address of the data repository {redact(repository)} contains a password or token, which would be "
            "stored and displayed; remove it and set SIGHTLINE_GIT_TOKEN in the environment instead"
        )
    path = Path(repository).expanduser()
    try:
        there = path.exists()
    except PermissionError as error:
        raise RepositoryError(not_readable(path)) from error
    if there or ":" not in repository:
        return path.absolute().as_uri()
    return repository


def local_path(repository: str) -> Path:
    """The local path of ``repository``; for the address of a server, a path that does not exist."""
    if repository.startswith("file://"):
        return Path(unquote(repository.removeprefix("file://")))
    return Path(repository).expanduser()


def require_local(repository: str) -> Path:
    """The absolute local path of ``repository``.

    Raises:
        RepositoryError: It is the address of a server.
    """
    path = local_path(repository)
    remote = "://" in repository and not repository.startswith("file://")
    if remote or (_SERVER.match(repository) and not path.exists()):
        name = repository.rstrip("/").rpartition("/")[2].rpartition(":")[2].removesuffix(".git") or "data"
        url = redact(repository)
        raise RepositoryError(
            f"{url} is on a server, but versions are added in a clone on this machine: run git clone "
            f"{shlex.quote(url)} {shlex.quote(name)}, then run the same command with --repository {shlex.quote(name)} "
            "(or set data.repository to it)"
        )
    return path.absolute()


def read_references(repository: str, timeout_seconds: float) -> References:
    """Read the tags of a repository.

    Raises:
        RepositoryError: There is no such repository, or it cannot be reached.
    """
    url = git_url(repository)
    return parse_references(git("ls-remote", "--tags", "--", url, timeout_seconds=timeout_seconds, trusted=[url]))


def parse_references(output: str) -> References:
    """Parse the tags in the output of ``git ls-remote``; other references are ignored."""
    objects: dict[str, str] = {}
    commits: dict[str, str] = {}
    for line in output.splitlines():
        name, _, reference = line.partition("\t")
        if not reference.startswith(TAGS):
            continue
        # An annotated tag is listed twice, the second time (^{}) with the commit.
        if not reference.endswith("^{}"):
            objects[reference] = name
        commits[reference.removesuffix("^{}")] = name
    removed: dict[str, set[str]] = {}
    for reference in commits:
        if match := _TOMBSTONE.fullmatch(reference):
            removed.setdefault(match["tag"], set()).add(match["commit"])
    found = {tag: frozenset(gone) for tag, gone in removed.items() if dataset_tags([tag])}
    tags = {reference.removeprefix(TAGS): commit for reference, commit in commits.items()}
    live = {
        tag: commit
        for tag, commit in tags.items()
        if commit not in found.get(tag, ()) and not _TOMBSTONE.fullmatch(f"{TAGS}{tag}")
    }
    return References(live, found, objects)
