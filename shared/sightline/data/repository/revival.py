"""Restores a removed annotation version: the same contents, under a new commit.

The name stays reserved: users may still have a copy of the removed version, so it must never get other contents.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from sightline.data.dvc.manifest import Manifest, manifest_md5
from sightline.data.git.commands import git
from sightline.data.git.references import TAGS, git_url, tombstone_reference
from sightline.data.repository.history import History
from sightline.data.tags import DatasetTag
from sightline.errors import RepositoryError
from sightline.temporary_folder import temporary_folder


def require_removed_contents(
    repository: str, tag: DatasetTag, commits: Collection[str], wanted: Manifest, timeout_seconds: float
) -> None:
    """Check that a version added under a removed name has the contents of the removed version.

    Args:
        repository: The data repository.
        tag: The version.
        commits: Its commits when it was removed; all of them have the same contents.
        wanted: The files to add, with their MD5.
        timeout_seconds: Limit for one git command.

    Raises:
        RepositoryError: The contents differ.
    """
    url, commit = git_url(repository), min(commits)
    with temporary_folder("history") as folder:
        path = Path(folder)
        git("init", "--quiet", "--bare", "--template=", cwd=path, timeout_seconds=timeout_seconds)
        refspec = f"+{tombstone_reference(str(tag), commit)}:{TAGS}{tag}"
        fetch = ["fetch", "--quiet", "--depth", "1", "--no-tags", "--", url, refspec]
        git(*fetch, cwd=path, timeout_seconds=timeout_seconds, trusted=[url])
        history = History(repository, path, timeout_seconds)
        if history.tracked(tag).md5 == manifest_md5(wanted):
            return
        present = history.manifest(tag)
    added, gone = len(wanted.keys() - present.keys()), len(present.keys() - wanted.keys())
    changed = sum(present[name] != wanted[name] for name in present.keys() & wanted.keys())
    raise RepositoryError(
        f"{tag} was removed, and its name stays reserved for its contents: {added} files would be added, "
        f"{gone} removed, {changed} changed. Add the folder under another --version; only identical files restore {tag}"
    )
