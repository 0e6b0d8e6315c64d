"""Creates data repositories, and adds annotation versions to them."""

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
"""Files that exist only in a repository with Sightline's source code."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Added:
    """The result of ``sightline data add``.

    Attributes:
        tag: The added version.
        commit: The commit of the tag.
        files: Number of files of the version.
        new: False if the version existed already and nothing was changed.
        faults: Number of faults that would stop record.
        found: The files of the folder, accepted and left out.
        annotations: The annotations that were read.
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
    """Create a data repository: git and DVC, with a remote for annotations and one for training sets.

    In an existing git repository, with or without DVC, the two remotes are added in a separate commit.

    Args:
        path: A folder that is empty or does not exist, or the top of a git repository.
        remote: Storage of the DVC objects: a path, ``file://`` or ``gs://bucket/prefix``.
        timeout_seconds: Limit for one git or DVC command.
        lock_seconds: How long to wait for another process that uses the folder.

    Returns:
        False if ``path`` already is a data repository with this remote; nothing is changed in this case.

    Raises:
        RepositoryError: The folder contains something else, the repository has other remotes with these names or
            uncommitted changes of its DVC configuration, or the remote cannot be used.
    """
    path, base = path.expanduser().absolute(), remote_base(remote)
    lock = path.with_name(f".{path.name}.lock")
    if path.exists() and not path.is_dir():
        raise RepositoryError(f"{path} is a file; expected a folder that is empty or does not exist")
    require_path(path, "the folder")
    with explain_os_errors(f"create the data repository {path}"):
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
    """Add the missing remotes to a git repository."""
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
        if (path / ".git").exists():  # another process has just created it
            return _extend(path, base, timeout_seconds, lock_seconds)
        _refuse(path, timeout_seconds)
    require_writable(base)
    if unfinished.exists():
        shutil.rmtree(unfinished)
    try:
        _make(unfinished, base, timeout_seconds)
        os.replace(unfinished, path)  # noqa: PTH105  (replaces an empty folder only)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    return True


def _is_full(path: Path) -> bool:
    return path.is_dir() and any(path.iterdir())


def _make(unfinished: Path, base: str, timeout_seconds: float) -> None:
    """Create a data repository in a new folder, with its first commit."""
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
    """Raise the error for a folder that is neither empty nor the root of a git repository."""
    if (path / "HEAD").is_file() and (path / "objects").is_dir():
        raise RepositoryError(f"{path} is a git repository without a working tree; clone it, and use the clone")
    try:
        top = git("rev-parse", "--show-toplevel", cwd=path, timeout_seconds=timeout_seconds).rstrip("\n")
    except RepositoryError:
        raise RepositoryError(
            f"{path} is not empty and not a data repository; choose another folder, or empty this one first"
        ) from None
    _require_data(Path(top))
    raise RepositoryError(f"{path} is not empty and is inside the git repository {top}; use {top} or another folder")


def _require_data(top: Path) -> None:
    """Refuse the repository of Sightline's own source code.

    Raises:
        RepositoryError: The repository contains the package.
    """
    found = next((name for name in OWN_PACKAGE if (top / name).is_file()), None)
    if found is not None:
        raise RepositoryError(
            f"{top} is the source code of Sightline ({found}), not a data repository; nothing was changed: choose a "
            "separate folder outside of it, such as ~/plates-data"
        )


def ensure_identity(path: Path, timeout_seconds: float) -> None:
    """Set the author ``sightline`` in this repository if the user has not configured a git identity."""
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
    details: str = "",
) -> Added:
    """Add ``folder`` as a version of a dataset: check, copy, push to the DVC remote, commit and tag.

    In a clone, the commit is based on the state of its remote and is pushed together with the tag.  Only then are the
    checked-out branch and ``annotations/<dataset>`` updated.  A call that fails leaves nothing behind except objects
    on the DVC remote; a killed call is completed by the next one.

    Args:
        repository: A data repository on this machine.
        folder: annotations and their images; :mod:`sightline.data.folder_files` defines which files are stored.
        tag: The new version.
        jobs: Number of parallel transfers and hash computations.
        timeout_seconds: Limit for one git or DVC command.
        lock_seconds: How long to wait for another process that works on the repository.
        allow_faults: Add annotations even if they have faults that would stop record.
        details: Further paragraphs of the commit message.

    Raises:
        DataError: The folder has no annotations, has faults, or contains files that cannot be part of a version.
        RepositoryError: The version exists with other contents; uncommitted changes are in the way; git or DVC failed.
    """
    repository, folder = repository.expanduser().absolute(), folder.expanduser().absolute()
    if not (repository / ".dvc" / "config").is_file():
        raise RepositoryError(
            f"{repository} is not a data repository on this machine; "
            "create one with sightline data init, or clone it and give the clone with --repository"
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
        commit, new = Addition(branch, tag, found, wanted, jobs, details).run()
        return Added(tag, commit, len(wanted), new, len(faults), found, annotations)


def git_dir_of(repository: Path, timeout_seconds: float) -> Path:
    """Git's folder that all working trees of the repository share."""
    answer = git("rev-parse", "--git-common-dir", cwd=repository, timeout_seconds=timeout_seconds)
    return repository / answer.rstrip("\n")


@contextmanager
def without_stale_locks(git_dir: Path) -> Iterator[None]:
    """Remove lock files of git commands that were killed together with an earlier call.

    ``git_dir`` contains a marker file during a call, so locks newer than a leftover marker belong to that killed call.
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
