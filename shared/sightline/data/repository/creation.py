"""The data repository: made once, and given new versions of annotations."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from sightline.data.annotations import Annotations
from sightline.data.dvc.configuration import NEW_CONFIGURATION, configuration_with_remotes, require_path
from sightline.data.dvc.objects import hash_files
from sightline.data.folder_files import FolderFiles, list_files
from sightline.data.git.branch import open_branch
from sightline.data.git.commands import dvc, explain_os_errors, git
from sightline.data.repository.adding import Addition, check, complete_interrupted, require_no_fault
from sightline.data.repository.existing import add_remotes, commit_files, head_of, names_both_remotes, open_repository
from sightline.data.repository.remote_address import remote_base, require_disjoint, require_same, require_writable
from sightline.data.repository.working_folder import require_apart
from sightline.data.tags import DatasetTag
from sightline.errors import RepositoryError
from sightline.lock import LOCK_SECONDS, exclusive_lock

OWN_PACKAGE = ("shared/sightline/__init__.py", "src/sightline/__init__.py", "sightline/__init__.py")
"""Files that only a repository with Sightline's source code has."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Added:
    """What ``sightline data add`` did.

    Attributes:
        tag: The version.
        commit: What the tag names.
        files: How many files the version has.
        new: False when it was there already and nothing was changed.
        faults: How many faults it has that would stop record.
        found: The files of the folder: taken and left out.
        annotations: What was read of them.
    """

    tag: DatasetTag
    commit: str
    files: int
    new: bool
    faults: int
    found: FolderFiles
    annotations: Annotations


def init_repository(
    path: Path, remote: str, timeout_seconds: float = 600.0, *, lock_seconds: float = LOCK_SECONDS
) -> bool:
    """Make a data repository: git and DVC, with a remote for annotations and one for training sets.

    A git repository that is there already, with or without DVC, gets the two remotes in a commit of their own.

    Args:
        path: A folder that is empty or does not exist, or the top of a git repository.
        remote: Where DVC keeps the files: a path, ``file://`` or ``gs://bucket/prefix``.
        timeout_seconds: Limit for one git or DVC command.
        lock_seconds: How long to wait for another process that works there.

    Returns:
        False when ``path`` is such a repository already, with this remote; nothing was changed then.

    Raises:
        RepositoryError: The folder holds something else, the repository has other remotes of these names or uncommitted
            changes of its DVC configuration, or the remote cannot be used.
    """
    path, base = path.expanduser().absolute(), remote_base(remote)
    lock = path.with_name(f".{path.name}.lock")
    if path.exists() and not path.is_dir():
        raise RepositoryError(f"{path} is a file; expected a folder that is empty or does not exist")
    require_path(path, "the folder")
    with explain_os_errors(f"make the data repository {path}"):
        if (path / ".git").exists():
            return _extend(path, base, timeout_seconds, lock_seconds)
        if not _is_full(path):
            require_disjoint(base, path)
        with exclusive_lock(lock, lock_seconds):
            try:
                return _init(path, base, timeout_seconds, lock_seconds)
            finally:
                lock.unlink(missing_ok=True)


def _extend(path: Path, base: str, timeout_seconds: float, lock_seconds: float) -> bool:
    """Add what a git repository lacks."""
    branch = open_repository(path, timeout_seconds)
    _require_data(path)
    git_dir = git_dir_of(path, timeout_seconds)
    with exclusive_lock(git_dir / "sightline.lock", lock_seconds), without_stale_locks(git_dir):
        if names_both_remotes(path):
            require_same(path, base)
        head = head_of(branch)
        files = add_remotes(branch, head, base)
        if not files:
            return False
        require_disjoint(base, path)
        require_writable(base)
        commit_files(branch, head, files, "Add the DVC remotes of Sightline")
        return True


def _init(path: Path, base: str, timeout_seconds: float, lock_seconds: float) -> bool:
    unfinished = path.with_name(f".{path.name}.new")
    if _is_full(path):
        if (path / ".git").exists():  # another process made it in this moment
            return _extend(path, base, timeout_seconds, lock_seconds)
        _refuse(path, timeout_seconds)
    require_writable(base)
    if unfinished.exists():
        shutil.rmtree(unfinished)
    try:
        _make(unfinished, base, timeout_seconds)
        os.replace(unfinished, path)  # noqa: PTH105  (an empty folder is replaced, a full one never)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    return True


def _is_full(path: Path) -> bool:
    return path.is_dir() and any(path.iterdir())


def _make(unfinished: Path, base: str, timeout_seconds: float) -> None:
    """A data repository in a new folder, with its first commit."""
    unfinished.mkdir(parents=True)
    git("init", "--quiet", "--initial-branch=main", cwd=unfinished, timeout_seconds=timeout_seconds)
    ensure_identity(unfinished, timeout_seconds)
    dvc("init", cwd=unfinished, timeout_seconds=timeout_seconds)
    (unfinished / ".dvc" / "config").write_text(
        configuration_with_remotes(NEW_CONFIGURATION, base, "a new .dvc/config"), encoding="utf-8"
    )
    git("add", ".dvc/config", ".dvc/.gitignore", ".dvcignore", cwd=unfinished, timeout_seconds=timeout_seconds)
    commit = ["commit", "--quiet", "--no-verify", "--message", "Begin the data repository"]
    git(*commit, cwd=unfinished, timeout_seconds=timeout_seconds)
    os.sync()


def _refuse(path: Path, timeout_seconds: float) -> NoReturn:
    """Say what a folder is that is neither empty nor the top of a git repository."""
    if (path / "HEAD").is_file() and (path / "objects").is_dir():
        raise RepositoryError(f"{path} is a git repository without a working tree; clone it, and give the clone")
    try:
        top = git("rev-parse", "--show-toplevel", cwd=path, timeout_seconds=timeout_seconds).rstrip("\n")
    except RepositoryError:
        raise RepositoryError(
            f"{path} is not empty and not a data repository; choose another folder, or empty this one first"
        ) from None
    _require_data(Path(top))
    raise RepositoryError(f"{path} is not empty and lies inside the git repository {top}; give {top} or another folder")


def _require_data(top: Path) -> None:
    """Refuse the repository of Sightline's own source code.

    Raises:
        RepositoryError: It holds the package.
    """
    found = next((name for name in OWN_PACKAGE if (top / name).is_file()), None)
    if found is not None:
        raise RepositoryError(
            f"{top} is the source code of Sightline ({found}), not a place for data; nothing was changed: choose a "
            "folder of its own outside of it, such as ~/plates-data"
        )


def ensure_identity(path: Path, timeout_seconds: float) -> None:
    """Name the author ``sightline`` in this repository where nobody told git who the user is."""
    configured = git("config", "--list", cwd=path, timeout_seconds=timeout_seconds)
    keys = {line.partition("=")[0] for line in configured.splitlines()}
    for key, value in (("user.name", "sightline"), ("user.email", "sightline@localhost")):
        if key not in keys:
            git("config", key, value, cwd=path, timeout_seconds=timeout_seconds)


def add_annotations(
    repository: Path,
    folder: Path,
    tag: DatasetTag,
    *,
    jobs: int = 2,
    timeout_seconds: float = 3600.0,
    lock_seconds: float = LOCK_SECONDS,
    allow_faults: bool = False,
) -> Added:
    """Make ``folder`` the next version of a dataset: checked, copied, pushed to the DVC remote, committed and tagged.

    Where the repository is a clone, the commit goes on top of what its remote has, and is pushed together with the tag.
    Only then are the checked-out branch and ``annotations/<dataset>`` brought to the version.  A call that fails leaves
    nothing behind but objects on the DVC remote; a killed call is completed by the next.

    Args:
        repository: A data repository on this machine.
        folder: labelme JSON files and their images; see :mod:`sightline.data.folder_files` for the files that count.
        tag: The new version.
        jobs: Parallel transfers and hashing.
        timeout_seconds: Limit for one git or DVC command.
        lock_seconds: How long to wait for another process that works on the repository.
        allow_faults: Add annotations with faults that would stop record.

    Raises:
        DataError: The folder has no annotations, faults, or files that cannot be part of a version.
        RepositoryError: The version exists with other contents; uncommitted work is in the way; git or DVC failed.
    """
    repository, folder = repository.expanduser().absolute(), folder.expanduser().absolute()
    if not (repository / ".dvc" / "config").is_file():
        raise RepositoryError(
            f"{repository} is not a data repository on this machine; "
            "make one with sightline data init, or clone it and name the clone with --repository"
        )
    require_path(repository, "the data repository")
    git_dir = git_dir_of(repository, timeout_seconds)
    with (
        explain_os_errors(f"add {folder} to {repository}"),
        exclusive_lock(git_dir / "sightline.lock", lock_seconds),
        without_stale_locks(git_dir),
    ):
        branch = open_branch(repository, timeout_seconds)
        complete_interrupted(branch, jobs)
        found = list_files(folder)
        require_apart(folder, repository, tag)
        found.require_accepted()
        wanted = hash_files(folder, found.files, jobs, "hash files")
        annotations, faults = check(found, jobs)
        if not allow_faults:
            require_no_fault(found, faults, annotations)
        commit, new = Addition(branch, tag, found, wanted, jobs).run()
        return Added(tag, commit, len(wanted), new, len(faults), found, annotations)


def git_dir_of(repository: Path, timeout_seconds: float) -> Path:
    """Where git keeps what all working trees of the repository share."""
    answer = git("rev-parse", "--git-common-dir", cwd=repository, timeout_seconds=timeout_seconds)
    return repository / answer.rstrip("\n")


@contextmanager
def without_stale_locks(git_dir: Path) -> Iterator[None]:
    """Remove the lock files of git commands that were killed together with an earlier call.

    A mark lies in ``git_dir`` while a call works, so locks that are younger than a mark left behind are nobody else's.
    """
    mark = git_dir / "sightline.unfinished"
    if mark.exists():
        began = mark.stat().st_mtime
        for lock in [*git_dir.glob("*.lock"), *(git_dir / "refs").rglob("*.lock")]:
            if lock.name != "sightline.lock" and lock.stat().st_mtime >= began:
                _log.warning("%s was left behind by a git process that was killed; removing it", lock)
                lock.unlink()
    mark.touch()
    yield
    mark.unlink()
