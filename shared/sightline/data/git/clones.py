"""Detects local clones that may lack data of their origin."""

from __future__ import annotations

import shlex
from pathlib import Path

from sightline.data.git.commands import git
from sightline.data.git.references import local_path
from sightline.errors import RepositoryError


def clone_hint(repository: str, timeout_seconds: float) -> str:
    """The command to run if a tag may be missing because ``repository`` is a clone; empty if it is not a clone.

    Example: ``"data is a shallow clone without all tags: git -C data fetch --unshallow --tags"``.
    """
    path = local_path(repository)
    if not path.is_dir():
        return ""
    try:
        shallow = is_shallow(repository, timeout_seconds)
        remotes = git("remote", cwd=path, timeout_seconds=timeout_seconds).split()
    except RepositoryError:
        return ""
    if shallow:
        return _shallow_hint(path)
    return f"{path} is a clone, which may lack tags: {_fetch(path)} --tags" if remotes else ""


def require_not_shallow(repository: str, timeout_seconds: float) -> None:
    """Reject a shallow local clone: tags that it lacks could change the result.

    Raises:
        RepositoryError: The clone is shallow; the message shows the command that fetches the missing data.
    """
    if is_shallow(repository, timeout_seconds):
        raise RepositoryError(f"{_shallow_hint(local_path(repository))}; run that, then the same command again")


def is_shallow(repository: str, timeout_seconds: float) -> bool:
    """Whether ``repository`` is a local clone without its complete history."""
    path = local_path(repository)
    if not path.is_dir():
        return False
    answer = git("rev-parse", "--is-shallow-repository", cwd=path, timeout_seconds=timeout_seconds)
    return answer.strip() == "true"


def _shallow_hint(path: Path) -> str:
    return f"{path} is a shallow clone, which lacks tags and history: {_fetch(path)} --unshallow --tags"


def _fetch(path: Path) -> str:
    return f"git -C {shlex.quote(str(path))} fetch"
