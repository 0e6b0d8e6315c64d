"""Determines the Git commit of the package."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sightline.data.git.commands import git
from sightline.errors import RepositoryError

TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class GitState:
    """The Git state of a folder.

    Attributes:
        commit: The checked-out commit; None if the files are not tracked by Git, or Git is not installed.
        dirty: Whether anything in the folder differs from that commit.
    """

    commit: str | None
    dirty: bool | None


def git_state(package: Path) -> GitState:
    """The Git state of the package's folder; an ignored folder, such as a virtual environment, has no commit."""
    try:
        git("ls-files", "--error-unmatch", "version.py", cwd=package, timeout_seconds=TIMEOUT_SECONDS)
        status = git(
            "status", "--porcelain=v2", "--branch", "--", ".", cwd=package, timeout_seconds=TIMEOUT_SECONDS
        ).splitlines()
    except (RepositoryError, FileNotFoundError):
        return GitState(None, None)
    commits = [line.split()[2] for line in status if line.startswith("# branch.oid ")]
    return GitState(commits[0], any(not line.startswith("#") for line in status))
