"""A verified copy of one dataset version on the work volume, made once and shared by all steps."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sightline.data.commands import dvc, explain_os_errors, git, redact
from sightline.data.history import git_url, list_tags
from sightline.data.lock import exclusive_lock, shared_lock
from sightline.data.manifest import Manifest
from sightline.data.objects import ObjectStore, file_md5, hash_files, open_remote, read_dvc_file
from sightline.data.tags import DatasetTag, unknown_tag
from sightline.errors import RepositoryError, UnknownTagError

SHOWN_FILES = 10

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Checkout:
    """A dataset version on disk; it is never changed.

    Attributes:
        path: The root: ``annotations/<dataset>/``, and for a training tag ``training/<dataset>/``, lie below.
        tag: The dataset tag.
        commit: What the tag names.
    """

    path: Path
    tag: str
    commit: str


def checkout(
    repository: str,
    tag: str,
    work_dir: Path,
    *,
    jobs: int = 2,
    timeout_seconds: float = 3600.0,
    expected_commit: str = "",
) -> Checkout:
    """Clone the tag, pull its data and check every file; a finished checkout of an earlier call is taken as it is.

    Args:
        repository: Git URL or path of the data repository.
        tag: ``<dataset>_ann_<version>``, or ``<dataset>_train_<version>`` to get images and COCO documents.
        work_dir: The work volume.
        jobs: Parallel transfers and hashing.
        timeout_seconds: Limit for one git or DVC command, and for waiting for another process.
        expected_commit: What the tag named when it was used before; empty when nobody knows.

    Raises:
        UnknownTagError: There is no such tag; the message lists those there are.
        RepositoryError: The tag moved; objects are missing or damaged on the remote (each file is named); git or DVC
            failed; the disk is full.
    """
    wanted = DatasetTag.parse(tag)
    known = list_tags(repository, timeout_seconds)
    folder = work_dir / "checkouts"
    if tag not in known:
        raise _gone(folder, tag, redact(repository), expected_commit) or unknown_tag(tag, redact(repository), known)
    commit = known[tag]
    _require_unmoved(folder, wanted, commit, expected_commit)
    final = folder / f"{tag}-{commit[:12]}"
    if final.is_dir():
        return Checkout(final, tag, commit)
    with explain_os_errors(f"check out {tag} to {folder}"):
        remove_abandoned(folder)
        with exclusive_lock(use_lock(final), timeout_seconds), shared_lock(cache_lock(work_dir), timeout_seconds):
            if not final.is_dir():
                part = folder / f"{final.name}.part"
                clone(repository, tag, commit, part, work_dir=work_dir, timeout_seconds=timeout_seconds)
                for source in {str(wanted.annotations): wanted.annotations, tag: wanted}.values():
                    _pull(part, source, cache(work_dir), jobs, timeout_seconds)
                os.sync()
                os.replace(part, final)  # noqa: PTH105
                _log.info("checked out %s (commit %s) to %s", tag, commit[:12], final)
    return Checkout(final, tag, commit)


@contextmanager
def checked_out(
    repository: str,
    tag: str,
    work_dir: Path,
    *,
    jobs: int = 2,
    timeout_seconds: float = 3600.0,
    expected_commit: str = "",
) -> Iterator[Checkout]:
    """A :func:`checkout` that nobody removes while the context is open; the arguments and errors are the same."""
    while True:
        found = checkout(
            repository, tag, work_dir, jobs=jobs, timeout_seconds=timeout_seconds, expected_commit=expected_commit
        )
        with shared_lock(use_lock(found.path), timeout_seconds):
            if found.path.is_dir():  # it may have been removed as unused before the lock was ours
                yield found
                return


def use_lock(path: Path) -> Path:
    """The lock file of a checkout: held together by those who use it, alone by the one who makes or removes it."""
    return path.parent / ".locks" / path.name


def cache_lock(work_dir: Path) -> Path:
    """The lock file of DVC's cache: held together by those who fill or read it, alone by one who removes objects."""
    return work_dir / "dvc-cache.lock"


def clone(repository: str, tag: str, commit: str, path: Path, *, work_dir: Path, timeout_seconds: float) -> None:
    """Clone one tag without its history and without data; DVC's cache is the one of the work volume.

    Raises:
        UnknownTagError: The tag was deleted since it was looked up.
        RepositoryError: The tag does not name ``commit`` any more, or git failed.
    """
    if path.exists():
        shutil.rmtree(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    url = git_url(repository)
    options = ["--quiet", "--depth", "1", "--single-branch", "--no-tags", "--template=", "--branch", tag]
    try:
        git("clone", *options, "--", url, str(path), timeout_seconds=timeout_seconds, trusted=[url])
    except RepositoryError as error:
        known = list_tags(repository, timeout_seconds)
        if tag in known:
            raise
        raise unknown_tag(tag, redact(repository), known) from error
    found = git("rev-parse", "HEAD", cwd=path, timeout_seconds=timeout_seconds).strip()
    if found != commit:
        raise RepositoryError(f"{tag} moved in this moment: it named {commit} and names {found} now; start again")
    if not (path / ".dvc" / "config").is_file():
        raise RepositoryError(f"{redact(repository)} has no .dvc/config at {tag}: it is not a data repository")
    settings = f'[core]\n    analytics = false\n    check_update = false\n[cache]\n    dir = "{cache(work_dir).root}"\n'
    (path / ".dvc" / "config.local").write_text(settings + '    type = "reflink,copy"\n', encoding="utf-8")


def cache(work_dir: Path) -> ObjectStore:
    """DVC's cache on the work volume, shared by all checkouts."""
    return ObjectStore(work_dir.absolute() / "dvc-cache")


def _gone(folder: Path, tag: str, repository: str, expected_commit: str) -> UnknownTagError | None:
    """The error for a tag that was there before, with what is known of it; None where nothing is known."""
    made = sorted(folder.glob(f"{tag}-{'[0-9a-f]' * 12}"))
    if not made and not expected_commit:
        return None
    commit = expected_commit or made[-1].name[-12:]
    where = f"; its checkout is {made[-1]}" if made else ""
    source = f"git -C {made[-1]} push origin HEAD" if made else f"git push origin {commit}"
    return UnknownTagError(
        f"{tag} is gone from {repository}; it named commit {commit}{where}; nothing of it was removed here: set the "
        f"tag again ({source}:refs/tags/{tag}), or choose another version"
    )


def _require_unmoved(folder: Path, tag: DatasetTag, commit: str, expected_commit: str) -> None:
    if expected_commit and expected_commit != commit:
        raise RepositoryError(
            f"{tag} names commit {commit}, but {expected_commit} was recorded for it: the tag moved; "
            "set it back, or add the new data as a new version"
        )
    for other in folder.glob(f"{tag}-{'[0-9a-f]' * 12}"):
        if other.name != f"{tag}-{commit[:12]}":
            raise RepositoryError(
                f"{tag} names commit {commit}, but it named {other.name[-12:]} when it was checked out to {other}: the "
                "tag moved; set it back, or add the new data as a new version (or remove that folder if it is meant)"
            )


def remove_abandoned(folder: Path) -> None:
    """Remove what killed processes left half-made in ``folder``; the lock of a live one is still held."""
    for part in folder.glob("*.part"):
        try:
            with exclusive_lock(folder / ".locks" / part.stem, 0.0):
                shutil.rmtree(part, ignore_errors=True)
        except RepositoryError:
            continue


def _pull(path: Path, tag: DatasetTag, store: ObjectStore, jobs: int, timeout_seconds: float) -> None:
    """Pull one folder and compare each file with the manifest; what the cache holds damaged is fetched once more."""
    remote = open_remote((path / ".dvc" / "config").read_text(encoding="utf-8"), tag.room, str(path))
    tracked = read_dvc_file((path / tag.dvc_file).read_text(encoding="utf-8"), tag.dvc_file)
    manifest = remote.manifest(tracked.md5, str(tag))
    pull = ["pull", "--quiet", "--force", "--jobs", str(jobs), "--remote", tag.room, tag.dvc_file]
    for last in (False, True):
        failure: RepositoryError | None = None
        try:
            dvc(*pull, cwd=path, timeout_seconds=timeout_seconds)
        except RepositoryError as error:
            failure = error
        found = hash_files(path / tag.folder, manifest, jobs, f"verify {tag.folder}")
        bad = {name: md5 for name, md5 in manifest.items() if found.get(name) != md5}
        if not bad and failure is None:
            return
        if last or not _forget_damaged(store, path / tag.folder, {**bad, "": tracked.md5.removesuffix(".dir")}):
            break
        _log.warning("objects of %s are damaged in the DVC cache %s; they are fetched again", tag, store.root)
    raise _unusable(tag, remote, bad, len(manifest), failure) from failure


def _forget_damaged(store: ObjectStore, folder: Path, bad: Manifest) -> bool:
    """Remove damaged objects from the cache, and the files made from them; False when there were none."""
    forgotten = False
    for name, md5 in bad.items():
        path = store.path_of(md5) if name else store.path_of(f"{md5}.dir")
        if path.is_file() and file_md5(path) != md5:
            path.unlink()
            forgotten = True
        if name:
            (folder / name).unlink(missing_ok=True)
    return forgotten


def _unusable(
    tag: DatasetTag, remote: ObjectStore, bad: Manifest, files: int, failure: RepositoryError | None
) -> RepositoryError:
    """The error that says which files are at fault, and where."""
    lost = remote.damaged(bad)
    names = lost or sorted(bad)
    shown = ", ".join(names[:SHOWN_FILES]) + (f" and {len(names) - SHOWN_FILES} more" * (len(names) > SHOWN_FILES))
    if lost:
        return RepositoryError(
            f"{len(lost)} of {files} files of {tag} are missing or damaged on the DVC remote {remote.root}: {shown}; "
            f"remove the damaged objects there and push them again from a clone that has them "
            f"(dvc push --remote {tag.room})"
        )
    if failure is not None:
        return failure
    return RepositoryError(
        f"{len(bad)} of {files} files of {tag} differ from what was published: {shown}; "
        "check the disk of the work volume and run the same command again"
    )
