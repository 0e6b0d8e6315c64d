"""Bringing a removed annotation version back: the same contents, under a commit of its own.

Its name stays taken: whoever read it before it was removed may still hold a copy, so it never names anything else.
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
    """Make sure that a version which is added under a removed name is the one that was removed.

    Args:
        repository: The data repository.
        tag: The version.
        commits: What it named when it was removed; all of them have the same contents.
        wanted: The files to add, with their MD5.
        timeout_seconds: Limit for one git command.

    Raises:
        RepositoryError: The contents are others.
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
        f"{tag} was removed, and its name stays taken by what it was: {added} files would be added, {gone} removed, "
        f"{changed} changed. Add the folder under another --version; only the same files bring {tag} back"
    )
