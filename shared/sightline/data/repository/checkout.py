"""A verified copy of one dataset version on the work volume, created once and shared by all steps."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from configobj import ConfigObj

from sightline.data.dvc.configuration import local_configuration
from sightline.data.dvc.pull import Pull
from sightline.data.git.commands import explain_os_errors, git, redact
from sightline.data.git.references import References, git_url, read_references
from sightline.data.repository.tombstones import missing_tag
from sightline.data.tags import DatasetTag
from sightline.data.workspace import Workspace
from sightline.errors import RepositoryError, UnknownTagError
from sightline.lock import exclusive_lock, shared_lock

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Checkout:
    """A dataset version on disk; it is never changed.

    Attributes:
        path: The root, which contains ``annotations/<dataset>/`` and, for a training tag, ``training/<dataset>/``.
        tag: The dataset tag.
        commit: The commit of the tag.
    """

    path: Path
    tag: str
    commit: str


def checkout(workspace: Workspace, tag: str, *, expected_commit: str = "", recorded_in: str = "") -> Checkout:
    """Clone the tag, pull its data and check every file; an existing complete checkout is reused.

    Args:
        workspace: The data repository and the folder for checkouts.
        tag: ``<dataset>_ann_<version>``, or ``<dataset>_train_<version>`` to get images and COCO documents.
        expected_commit: The commit of the tag when it was used before; empty if unknown.
        recorded_in: The database that contains ``expected_commit``, for messages.

    Raises:
        UnknownTagError: There is no such tag, or its version was removed; the message lists the existing ones.
        RepositoryError: The tag moved; objects are missing or damaged on the remote (each file is named); git or DVC
            failed; the disk is full.
    """
    wanted = DatasetTag.parse(tag)
    repository, folder = workspace.repository, workspace.checkouts
    known = read_references(repository, workspace.timeout_seconds)
    other = _other_repository(redact(repository), recorded_in)
    if tag not in known.tags:
        gone = None if tag in known.removed else _gone(folder, tag, redact(repository), expected_commit, other)
        raise gone or missing_tag(repository, tag, known, workspace.timeout_seconds)
    commit = known.tags[tag]
    _require_unmoved(folder, wanted, known, expected_commit, other)
    final = folder / f"{tag}-{commit[:12]}"
    if final.is_dir():
        return Checkout(final, tag, commit)
    with explain_os_errors(f"check out {tag} to {folder}", folder):
        remove_abandoned(folder)
        seconds = workspace.lock_seconds
        with exclusive_lock(use_lock(final), seconds), shared_lock(workspace.cache_lock, seconds):
            if not final.is_dir():
                part = folder / f"{final.name}.part"
                with _removed_if_it_fails(part), workspace.cache.temporary_folder() as temporary:
                    clone(workspace, tag, commit, part)
                    faults = workspace.folder / "faults" / f"{tag}.remote.txt"
                    for source in {str(wanted.annotations): wanted.annotations, tag: wanted}.values():
                        Pull(part, source, workspace, temporary, faults).run()
                # One sync for all files: a checkout with its final name is complete on disk.
                os.sync()
                os.replace(part, final)  # noqa: PTH105
                _log.info("checked out %s (commit %s) to %s", tag, commit[:12], final)
    return Checkout(final, tag, commit)


@contextmanager
def checked_out(
    workspace: Workspace, tag: str, *, expected_commit: str = "", recorded_in: str = ""
) -> Iterator[Checkout]:
    """Like :func:`checkout`, but the checkout is not removed while the context is open; same arguments and errors."""
    while True:
        found = checkout(workspace, tag, expected_commit=expected_commit, recorded_in=recorded_in)
        with shared_lock(use_lock(found.path), workspace.lock_seconds):
            if found.path.is_dir():  # it may have been removed as unused before we got the lock
                yield found
                return


def use_lock(path: Path) -> Path:
    """The lock file of a checkout: shared while the checkout is used, exclusive while it is created or removed."""
    return path.parent / ".locks" / path.name


def clone(workspace: Workspace, tag: str, commit: str, path: Path) -> None:
    """Clone one tag without its history and data; DVC uses the cache of the work volume.

    Raises:
        UnknownTagError: The tag was deleted after it was looked up.
        RepositoryError: The tag no longer points to ``commit``, or git failed.
    """
    if path.exists():
        shutil.rmtree(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    repository, timeout_seconds = workspace.repository, workspace.timeout_seconds
    url = git_url(repository)
    options = ["--quiet", "--depth", "1", "--single-branch", "--no-tags", "--template=", "--branch", tag]
    try:
        git("clone", *options, "--", url, str(path), cwd=path.parent, timeout_seconds=timeout_seconds, trusted=[url])
    except RepositoryError as error:
        known = read_references(repository, timeout_seconds)
        if tag in known.tags:
            raise
        raise missing_tag(repository, tag, known, timeout_seconds) from error
    found = git("rev-parse", "HEAD", cwd=path, timeout_seconds=timeout_seconds).strip()
    if found != commit:
        raise RepositoryError(
            f"{tag} was moved from commit {commit} to {found} while it was cloned; run the same command again"
        )
    if not (path / ".dvc" / "config").is_file():
        raise RepositoryError(f"{redact(repository)} has no .dvc/config at {tag}: it is not a data repository")
    settings = ConfigObj(interpolation=False)
    settings["core"] = {"analytics": "false", "check_update": "false"}
    settings["cache"] = {"dir": str(workspace.cache.root), "type": "reflink,copy"}
    (path / ".dvc" / "config.local").write_bytes(local_configuration(settings))


def _gone(folder: Path, tag: str, repository: str, expected_commit: str, other: str) -> UnknownTagError | None:
    """The error for a tag that existed before, with its known commit; None if nothing is known about it."""
    made = sorted(folder.glob(f"{tag}-{'[0-9a-f]' * 12}"))
    if not made and not expected_commit:
        return None
    commit = expected_commit or made[-1].name[-12:]
    where = f"; its checkout is {made[-1]}" if made else ""
    source = f"git -C {made[-1]} push origin HEAD" if made else f"git push origin {commit}"
    return UnknownTagError(
        f"{tag} is gone from {repository}; it pointed to commit {commit}{where}; no local data was removed: set the "
        f"tag again ({source}:refs/tags/{tag}), or choose another version; {other}"
    )


def _other_repository(repository: str, recorded_in: str) -> str:
    """The other possible reason for a different commit of a tag, and what to do about it."""
    database = f"the database {recorded_in}" if recorded_in else "the database"
    return (
        f"or, if {database} knows this tag from another data repository than {repository}: use a separate "
        "SIGHTLINE_HOME for each (or another database.url and work.dir), or another dataset name"
    )


def _require_unmoved(folder: Path, tag: DatasetTag, known: References, expected_commit: str, other: str) -> None:
    commit = known.tags[str(tag)]
    if expected_commit and known.is_removed(str(tag), expected_commit):
        raise RepositoryError(
            f"{tag} at commit {expected_commit} was removed, and the tag now points to {commit}; run record again, or "
            "start a new run"
        )
    if expected_commit and expected_commit != commit:
        raise RepositoryError(
            f"{tag} points to commit {commit}, but {expected_commit} was recorded for it. If the tag was moved: set "
            f"it back, or add the new data as a new version; {other}"
        )
    for earlier in folder.glob(f"{tag}-{'[0-9a-f]' * 12}"):
        if earlier.name != f"{tag}-{commit[:12]}" and not known.is_removed(str(tag), earlier.name[-12:]):
            raise RepositoryError(
                f"{tag} points to commit {commit}, but pointed to {earlier.name[-12:]} when it was checked out to "
                f"{earlier}. If the tag was moved: set it back, or add the new data as a new version (or remove that "
                f"folder if the move was intended); {other}"
            )


@contextmanager
def _removed_if_it_fails(path: Path) -> Iterator[None]:
    """Remove an incomplete checkout, which would only fill the disk; the downloaded files stay in the cache."""
    try:
        yield
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)
        raise


def remove_abandoned(folder: Path) -> None:
    """Remove incomplete checkouts of killed processes in ``folder``; those of running processes are locked."""
    for part in folder.glob("*.part"):
        try:
            with exclusive_lock(folder / ".locks" / part.stem, 0.0):
                shutil.rmtree(part, ignore_errors=True)
        except RepositoryError:
            continue
