"""Adds Sightline's remotes to an existing Git repository, with or without DVC.

One commit adds what its ``.dvc/config`` lacks; other settings and uncommitted changes are not touched.
"""

from __future__ import annotations

from pathlib import Path

from sightline.data.dvc.configuration import NEW_CONFIGURATION, ROOMS, configuration_with_remotes, read_remotes
from sightline.data.git.branch import DETACHED, NO_COMMIT, Branch, author
from sightline.data.git.commands import git
from sightline.data.git.fast_forward import Change, obstacles, update_files
from sightline.errors import RepositoryError
from sightline.temporary_folder import temporary_folder

CONFIG = ".dvc/config"
DVC_FILES = {
    ".dvc/.gitignore": b"/config.local\n/tmp\n/cache\n",
    ".dvcignore": b"# Add patterns of files dvc should ignore, which could improve\n"
    b"# the performance. Learn more at\n"
    b"# https://dvc.org/doc/user-guide/dvcignore\n",
}
"""Files that ``dvc init`` creates in addition to the configuration."""


def open_repository(path: Path, timeout_seconds: float) -> Branch:
    """The checked-out branch of a repository, which may have no commit yet.

    Raises:
        RepositoryError: ``path`` is not the root of a git working tree, or no branch is checked out.
    """

    def ask(*arguments: str) -> str:
        return git(*arguments, cwd=path, timeout_seconds=timeout_seconds)

    settings = {key: value for key, _, value in (entry.partition("\n") for entry in ask("config", "-lz").split("\0"))}
    try:
        top = ask("rev-parse", "--show-toplevel").rstrip("\n")
    except RepositoryError as error:
        raise RepositoryError(
            f"{path} is a git repository without a working tree; clone it, and use the clone"
        ) from error
    if Path(top).resolve() != path.resolve():
        raise RepositoryError(f"{path} is inside the git repository {top}; use that folder, or one outside of it")
    ref = ask("symbolic-ref", "--quiet", "HEAD").strip() if _has_branch(path, timeout_seconds) else DETACHED
    if ref == DETACHED:
        raise RepositoryError(f"{path} has no branch checked out; check one out (git checkout BRANCH)")
    return Branch(path, ref, "", "", (), author(settings), timeout_seconds)


def add_remotes(branch: Branch, head: str, base: str) -> dict[str, bytes]:
    """The files that a commit on top of ``head`` must write to add both remotes; empty if both exist.

    Args:
        branch: The repository.
        head: The checked-out commit; empty if there is no commit yet.
        base: Parent location of both remotes.

    Raises:
        RepositoryError: A remote with this name has another location.
    """
    where = str(branch.root / CONFIG)
    with temporary_folder("init") as folder:
        present = branch.read(head, CONFIG, Path(folder)) if head else None
        others = {name for name in DVC_FILES if head and branch.read(head, name, Path(folder)) is not None}
    text = NEW_CONFIGURATION if present is None else present.decode("utf-8", "surrogateescape")
    wanted = configuration_with_remotes(text, base, where).encode("utf-8", "surrogateescape")
    if wanted == present:
        return {}
    if present is not None:
        return {CONFIG: wanted}
    return {CONFIG: wanted, **{name: data for name, data in DVC_FILES.items() if name not in others}}


def commit_files(branch: Branch, head: str, files: dict[str, bytes], message: str) -> None:
    """Commit files on the checked-out branch, and write them to the working tree.

    Raises:
        RepositoryError: A file has uncommitted changes; nothing was changed.
    """
    with temporary_folder("init") as folder:
        commit = branch.commit(head, files, message, Path(folder))
        moving = {path: Change(_object(branch, head, path), _object(branch, commit, path), "100644") for path in files}
        if changed := obstacles(branch, moving):
            raise RepositoryError(
                f"{', '.join(changed)} in {branch.root} has uncommitted changes; nothing was changed: commit or undo "
                "them, then run the same command again"
            )
        branch.git("update-ref", "-m", "sightline data init", branch.ref, commit, head or NO_COMMIT,
                   variables=branch.variables)  # fmt: skip
        update_files(branch, moving, [], Path(folder))


def head_of(branch: Branch) -> str:
    """The checked-out commit; empty if there is none yet."""
    return branch.git("for-each-ref", "--format=%(objectname)", branch.ref).strip()


def names_both_remotes(path: Path) -> bool:
    """Whether the ``.dvc/config`` in a working tree contains both remotes."""
    config = path / CONFIG
    if not config.is_file():
        return False
    present = read_remotes(config.read_text(encoding="utf-8", errors="replace"), str(config))
    return all(room in present for room in ROOMS)


def _has_branch(path: Path, timeout_seconds: float) -> bool:
    try:
        git("symbolic-ref", "--quiet", "HEAD", cwd=path, timeout_seconds=timeout_seconds)
    except RepositoryError:
        return False
    return True


def _object(branch: Branch, commit: str, path: str) -> str:
    entry = branch.git("ls-tree", "-z", commit, "--", path) if commit else ""
    return entry.partition("\t")[0].split(" ")[2] if entry else ""
