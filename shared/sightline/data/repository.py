"""The data repository: made once, and given new versions of annotations."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sightline.data.commands import dvc, explain_os_errors, git
from sightline.data.history import open_history
from sightline.data.lock import exclusive_lock
from sightline.data.manifest import Manifest
from sightline.data.objects import hash_files
from sightline.data.publish import publish_folder
from sightline.data.references import read_references
from sightline.data.remote import is_foreign, open_remote
from sightline.data.revival import require_removed_contents
from sightline.data.tags import DatasetTag
from sightline.errors import DataError, RepositoryError, StorageError
from sightline.storage import open_storage
from sightline.storage.uris import path_of

JUNK_NAMES = frozenset({".DS_Store", "Thumbs.db", "desktop.ini", "__MACOSX", ".ipynb_checkpoints", "__pycache__"})
JUNK_SUFFIXES = (".tmp", ".part", ".swp", ".bak", "~")
CONFIGURATION = """\
[core]
    analytics = false
    autostage = false
    check_update = false
[cache]
    type = "reflink,copy"
['remote "annotations"']
    url = {remote}/annotations
    verify = true
['remote "training"']
    url = {remote}/training
    verify = true
"""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Added:
    """What ``sightline data add`` did.

    Attributes:
        tag: The version.
        commit: What the tag names.
        files: How many files the version has.
        new: False when it was there already and nothing was changed.
    """

    tag: DatasetTag
    commit: str
    files: int
    new: bool


def init_repository(path: Path, remote: str, timeout_seconds: float = 600.0) -> bool:
    """Make a data repository: git and DVC, with a remote for annotations and one for training sets.

    Args:
        path: A folder that is empty or does not exist.
        remote: Where DVC keeps the files: a path, ``file://`` or ``gs://bucket/prefix``.
        timeout_seconds: Limit for one git or DVC command.

    Returns:
        False when ``path`` is such a repository already, with this remote; nothing was changed then.

    Raises:
        RepositoryError: The folder holds something else, or the remote cannot be used.
    """
    path, base = path.expanduser().absolute(), remote_base(remote)
    lock = path.with_name(f".{path.name}.lock")
    if path.exists() and not path.is_dir():
        raise RepositoryError(f"{path} is a file; expected a folder that is empty or does not exist")
    with (
        explain_os_errors(f"make the data repository {path}"),
        exclusive_lock(lock, timeout_seconds),
    ):
        made = _init(path, base, timeout_seconds)
        lock.unlink(missing_ok=True)
        return made


def _init(path: Path, base: str, timeout_seconds: float) -> bool:
    unfinished = path.with_name(f".{path.name}.new")
    if path.is_dir() and any(path.iterdir()):
        _require_same(path, base)
        return False
    _require_writable(base)
    if unfinished.exists():
        shutil.rmtree(unfinished)
    unfinished.mkdir(parents=True)
    git("init", "--quiet", "--initial-branch=main", cwd=unfinished, timeout_seconds=timeout_seconds)
    ensure_identity(unfinished, timeout_seconds)
    dvc("init", cwd=unfinished, timeout_seconds=timeout_seconds)
    (unfinished / ".dvc" / "config").write_text(CONFIGURATION.format(remote=base), encoding="utf-8")
    git("add", ".dvc/config", ".dvc/.gitignore", ".dvcignore", cwd=unfinished, timeout_seconds=timeout_seconds)
    commit = ["commit", "--quiet", "--no-verify", "--message", "Begin the data repository"]
    git(*commit, cwd=unfinished, timeout_seconds=timeout_seconds)
    os.sync()
    os.replace(unfinished, path)  # noqa: PTH105  (an empty folder is replaced, a full one never)
    return True


def remote_base(uri: str) -> str:
    """Where the remotes of both kinds of data lie, as ``.dvc/config`` has it: a path, or a ``gs://`` URI.

    Raises:
        RepositoryError: No storage back end serves it.
    """
    try:
        storage = None if is_foreign(uri) else open_storage(uri)
    except StorageError as error:
        raise RepositoryError(f"DVC remote {uri!r} cannot be used: {error}") from error
    if storage is None:
        raise RepositoryError(
            f"DVC remote {uri!r} cannot be used: known are a path, file:///path and gs://bucket/prefix; "
            "choose one of these"
        )
    return str(path_of(storage.uri)) if storage.uri.startswith("file:") else storage.uri


def _require_writable(base: str) -> None:
    """Write an object below the remote, read it and remove it again.

    Raises:
        RepositoryError: One of these does not work.
    """
    key = f"sightline-data-init-{secrets.token_hex(8)}"
    try:
        storage = open_storage(base)
        storage.write_bytes(key, b"", if_generation=0)
        storage.read_bytes(key)
        storage.delete(key)
    except StorageError as error:
        raise RepositoryError(f"DVC remote {base} must be readable and writable, nothing was made: {error}") from error


def _require_same(path: Path, base: str) -> None:
    config = path / ".dvc" / "config"
    if not (path / ".git").exists() or not config.is_file():
        raise RepositoryError(
            f"{path} is not empty and not a data repository; choose another folder, or empty this one first"
        )
    url = open_remote(config.read_text(encoding="utf-8"), "annotations", str(path)).url
    present = remote_base(url.rpartition("/")[0])
    if present != base:
        raise RepositoryError(
            f"{path} is a data repository already, with its remotes below {present}, not {base}; "
            f"use --remote {present}, or choose another folder"
        )


def ensure_identity(path: Path, timeout_seconds: float) -> None:
    """Name the author ``sightline`` in this repository where nobody told git who the user is."""
    configured = git("config", "--list", cwd=path, timeout_seconds=timeout_seconds)
    keys = {line.partition("=")[0] for line in configured.splitlines()}
    for key, value in (("user.name", "sightline"), ("user.email", "sightline@localhost")):
        if key not in keys:
            git("config", key, value, cwd=path, timeout_seconds=timeout_seconds)


def add_annotations(
    repository: Path, folder: Path, tag: DatasetTag, *, jobs: int = 2, timeout_seconds: float = 3600.0
) -> Added:
    """Make ``folder`` the next version of a dataset: copied, pushed to the DVC remote, committed and tagged.

    The tag is set last; a killed call is completed by the same call.

    Args:
        repository: A data repository on this machine.
        folder: labelme JSON files and their images; everything but junk is taken.
        tag: The new version.
        jobs: Parallel transfers and hashing.
        timeout_seconds: Limit for one git or DVC command.

    Raises:
        DataError: The folder holds no annotation, or a link that leads out of it.
        RepositoryError: The version exists with other contents, or git or DVC failed.
    """
    repository, folder = repository.expanduser().absolute(), folder.expanduser().absolute()
    if not (repository / ".dvc" / "config").is_file():
        raise RepositoryError(
            f"{repository} is not a data repository on this machine; "
            "make one with sightline data init, or clone it and name the clone with --repository"
        )
    with (
        explain_os_errors(f"add {folder} to {repository}"),
        exclusive_lock(repository / ".git" / "sightline.lock", timeout_seconds),
        unfinished(repository / ".git"),
    ):
        wanted = hash_files(folder, _wanted_files(folder), jobs, "hash files")
        references = read_references(str(repository), timeout_seconds)
        removed = references.removed.get(str(tag), frozenset())
        commit = references.tags.get(str(tag))
        if commit is not None:
            _require_equal(repository, tag, wanted, timeout_seconds)
            _push(repository, tag, timeout_seconds)
            return Added(tag, commit, len(wanted), new=False)
        if removed:
            require_removed_contents(str(repository), tag, removed, wanted, timeout_seconds)
        _mirror(folder, repository / tag.folder, wanted, jobs)
        publish_folder(repository, tag, jobs=jobs, timeout_seconds=timeout_seconds)
        commit = _commit(repository, tag, len(wanted), timeout_seconds, back=bool(removed))
        _push(repository, tag, timeout_seconds)
        return Added(tag, commit, len(wanted), new=True)


@contextmanager
def unfinished(git_dir: Path) -> Iterator[None]:
    """Remove the lock files of git commands that were killed together with an earlier call.

    A mark lies in ``git_dir`` while a call works, so locks that are younger than a mark left behind are nobody else's.
    """
    mark = git_dir / "sightline.unfinished"
    if mark.exists():
        began = mark.stat().st_mtime
        for lock in [*git_dir.glob("*.lock"), *(git_dir / "refs").rglob("*.lock")]:
            if lock.name != "sightline.lock" and lock.stat().st_mtime >= began:
                _log.warning("%s was left behind by a git that was killed; it is removed", lock)
                lock.unlink()
    mark.touch()
    yield
    mark.unlink()


def _wanted_files(folder: Path) -> list[str]:
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder; expected a folder of labelme JSON files and images")
    names = sorted(path.relative_to(folder).as_posix() for path in _files(folder, folder.resolve()))
    if not any(name.lower().endswith(".json") for name in names):
        raise DataError(f"{folder} holds no .json file; expected labelme JSON files beside their images")
    return names


def _files(folder: Path, root: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name in JUNK_NAMES or path.name.startswith("._") or path.name.endswith(JUNK_SUFFIXES):
            continue
        if path.is_symlink() and not path.resolve().is_relative_to(root):
            raise DataError(f"{path} is a link that leads out of {root}; copy the file there instead")
        if path.is_dir():
            if path.name not in {".git", ".dvc"}:
                yield from _files(path, root)
        elif path.is_file():
            yield path


def _require_equal(repository: Path, tag: DatasetTag, wanted: Manifest, timeout_seconds: float) -> None:
    with open_history(str(repository), [tag], timeout_seconds) as history:
        present = history.manifest(tag)
    if present == wanted:
        return
    added, removed = len(wanted.keys() - present.keys()), len(present.keys() - wanted.keys())
    changed = sum(present[name] != wanted[name] for name in present.keys() & wanted.keys())
    raise RepositoryError(
        f"{tag} exists with other contents ({added} files would be added, {removed} removed, {changed} changed), "
        "and a version never changes; add the folder under another --version"
    )


def _mirror(folder: Path, target: Path, wanted: Manifest, jobs: int) -> None:
    """Make ``target`` hold exactly the files ``wanted`` of ``folder``."""
    target.mkdir(parents=True, exist_ok=True)
    entries = sorted(target.rglob("*"), reverse=True)
    present = hash_files(target, (path.relative_to(target).as_posix() for path in entries), jobs, "compare files")
    for path in entries:
        name = path.relative_to(target).as_posix()
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()):
                path.rmdir()
        elif name not in wanted:
            path.unlink()
    for name, md5 in wanted.items():
        if present.get(name) == md5:
            continue
        destination = target / name
        destination.parent.mkdir(parents=True, exist_ok=True)
        temporary = destination.with_name(f"{destination.name}.part")
        shutil.copyfile(folder / name, temporary)
        os.replace(temporary, destination)  # noqa: PTH105


def _commit(repository: Path, tag: DatasetTag, files: int, timeout_seconds: float, *, back: bool = False) -> str:
    """Commit and tag; a version that comes back gets a commit of its own, as a removed one never counts again."""
    paths = [tag.dvc_file, f"{tag.room}/.gitignore"]
    ensure_identity(repository, timeout_seconds)
    git("add", "--", *paths, cwd=repository, timeout_seconds=timeout_seconds)
    if back or git("status", "--porcelain", "--", *paths, cwd=repository, timeout_seconds=timeout_seconds):
        message = f"{'Bring back' if back else 'Add'} {tag.dataset} {tag.version}: {files} annotation files and images"
        commit = ["commit", "--quiet", "--no-verify", "--allow-empty", "--message", message, "--", *paths]
        git(*commit, cwd=repository, timeout_seconds=timeout_seconds)
    # A clone may still have the tag of what was removed.
    git("tag", *(["--force"] if back else []), str(tag), "HEAD", cwd=repository, timeout_seconds=timeout_seconds)
    return git("rev-parse", "HEAD", cwd=repository, timeout_seconds=timeout_seconds).strip()


def _push(repository: Path, tag: DatasetTag, timeout_seconds: float) -> None:
    """Push branch and tag, where the repository is a clone of another."""
    if "origin" not in git("remote", cwd=repository, timeout_seconds=timeout_seconds).split():
        return
    branch = git("rev-parse", "--abbrev-ref", "HEAD", cwd=repository, timeout_seconds=timeout_seconds).strip()
    origin = git("remote", "get-url", "origin", cwd=repository, timeout_seconds=timeout_seconds).strip()
    references = [f"refs/tags/{tag}"] if branch == "HEAD" else [f"HEAD:refs/heads/{branch}", f"refs/tags/{tag}"]
    there = read_references(origin, timeout_seconds)
    # A tag of what was removed, which a clone pushed again, is moved; one that counts never is.
    old = "" if str(tag) in there.tags else there.objects.get(f"refs/tags/{tag}", "")
    lease = [f"--force-with-lease=refs/tags/{tag}:{old}"] if old else []
    git("push", "--quiet", "--atomic", *lease, "origin", *references, cwd=repository, timeout_seconds=timeout_seconds,
        trusted=[origin])  # fmt: skip
    _log.info("%s pushed to origin", tag)
