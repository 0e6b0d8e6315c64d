"""What a local clone may lack compared with its origin."""

from __future__ import annotations

import shlex
from pathlib import Path

from sightline.data.git.commands import git
from sightline.data.git.references import local_path
from sightline.errors import RepositoryError


def clone_hint(repository: str, timeout_seconds: float) -> str:
    """What to do where a tag may be missing because ``repository`` is a clone; empty where it is none.

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
    """Refuse a shallow clone on this machine: what the tags that it lacks decided would be decided differently.

    Raises:
        RepositoryError: With the command that fetches what is missing.
    """
    if is_shallow(repository, timeout_seconds):
        raise RepositoryError(f"{_shallow_hint(local_path(repository))}; run that, then the same command again")


def is_shallow(repository: str, timeout_seconds: float) -> bool:
    """Whether ``repository`` is a clone on this machine without its whole history."""
    path = local_path(repository)
    if not path.is_dir():
        return False
    answer = git("rev-parse", "--is-shallow-repository", cwd=path, timeout_seconds=timeout_seconds)
    return answer.strip() == "true"


def _shallow_hint(path: Path) -> str:
    return f"{path} is a shallow clone, which lacks tags and history: {_fetch(path)} --unshallow --tags"


def _fetch(path: Path) -> str:
    return f"git -C {shlex.quote(str(path))} fetch"
