"""What a clone on this machine may lack of the repository that it was made from."""

from __future__ import annotations

import shlex
from pathlib import Path

from sightline.data.commands import git
from sightline.errors import RepositoryError


def clone_hint(repository: str, timeout_seconds: float) -> str:
    """What to do where a tag may be missing because ``repository`` is a clone; empty where it is none.

    Example: ``"data is a shallow clone without all tags: git -C data fetch --unshallow --tags"``.
    """
    path = Path(repository.removeprefix("file://")).expanduser()
    if not path.is_dir():
        return ""
    try:
        shallow = git("rev-parse", "--is-shallow-repository", cwd=path, timeout_seconds=timeout_seconds).strip()
        remotes = git("remote", cwd=path, timeout_seconds=timeout_seconds).split()
    except RepositoryError:
        return ""
    fetch = f"git -C {shlex.quote(str(path))} fetch"
    if shallow == "true":
        return f"{path} is a shallow clone, which lacks tags and history: {fetch} --unshallow --tags"
    return f"{path} is a clone, which may lack tags: {fetch} --tags" if remotes else ""
