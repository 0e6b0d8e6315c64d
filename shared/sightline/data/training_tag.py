"""Training tags: publishing a training set so that it is there as a whole or not at all, and reading it back.

The commit of a training tag is a child of the annotation tag's commit and on no branch: only the tag is pushed.  So two
records never fight over a branch, the branch of annotations stays readable, and one commit names both kinds of data.
The commit is a pure function of the training set and its parent: whoever makes it again gets the same one.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sightline.data.annotations import LabelledImage
from sightline.data.checkout import Checkout, cache_lock, clone
from sightline.data.coco import CocoDocument, decode_coco
from sightline.data.commands import explain_os_errors, git
from sightline.data.filling import SPLITS, SplitName
from sightline.data.history import git_url, list_tags, open_history
from sightline.data.lock import LOCK_SECONDS, exclusive_lock, shared_lock
from sightline.data.publish import publish_folder
from sightline.data.tags import DatasetTag
from sightline.data.training_set import TrainingSet, from_bytes, write_training_set
from sightline.errors import RepositoryError

AUTHOR = {"NAME": "sightline", "EMAIL": "sightline@localhost"}
STALE_LOCK_SECONDS = 5.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PublishedSet:
    """A training set behind its tag.

    Attributes:
        training_set: What is known of it.
        documents: COCO, one a split.
        commit: What the tag names.
        digest: MD5 of its DVC directory, with ``.dir`` at its end.
    """

    training_set: TrainingSet
    documents: Mapping[SplitName, CocoDocument]
    commit: str
    digest: str


def publication_folder(work_dir: Path) -> Path:
    """Where training sets lie until they are published; nothing in it outlives a call that was not killed."""
    return work_dir / "publish"


def find_training_tag(repository: str, tag: DatasetTag, timeout_seconds: float) -> PublishedSet | None:
    """Read what a training tag names, without a pull; None where there is no such tag.

    Raises:
        RepositoryError: Its files are missing or damaged on the DVC remote.
    """
    if str(tag) not in list_tags(repository, timeout_seconds):
        return None
    with open_history(repository, [tag], timeout_seconds) as history:
        return PublishedSet(
            from_bytes(history.read(tag, "dataset.json"), f"dataset.json of {tag}"),
            {split: decode_coco(history.read(tag, f"{split}.json"), f"{split}.json of {tag}") for split in SPLITS},
            history.commit(tag),
            history.tracked(tag).md5,
        )


def publish_training_tag(
    repository: str,
    source: Checkout,
    training_set: TrainingSet,
    documents: Mapping[SplitName, CocoDocument],
    images: Sequence[LabelledImage],
    *,
    work_dir: Path,
    jobs: int,
    timeout_seconds: float,
    lock_seconds: float = LOCK_SECONDS,
) -> PublishedSet:
    """Push the files to the DVC remote, then the tag; where another was faster, theirs is returned.

    Args:
        repository: The data repository.
        source: The annotation tag that the set was made from.
        training_set: The set.
        documents: Its COCO documents.
        images: Its images, of which the embedded ones are written.
        work_dir: The work volume.
        jobs: Parallel transfers.
        timeout_seconds: Limit for one git or DVC command.
        lock_seconds: How long to wait for another process that publishes the same.

    Raises:
        RepositoryError: Git or DVC failed, the disk is full, or the annotation tag moved meanwhile.
    """
    tag = DatasetTag.parse(source.tag).training
    folder = publication_folder(work_dir)
    with (
        explain_os_errors(f"write the training set {tag}"),
        exclusive_lock(folder / ".locks" / str(tag), lock_seconds),
        shared_lock(cache_lock(work_dir), lock_seconds),
    ):
        found = find_training_tag(repository, tag, timeout_seconds)
        if found is not None:
            return found
        workspace = folder / f"{tag}.part"
        clone(repository, source.tag, source.commit, workspace, work_dir=work_dir, timeout_seconds=timeout_seconds)
        write_training_set(workspace / tag.folder, training_set, documents, images)
        tracked = publish_folder(workspace, tag, jobs=jobs, timeout_seconds=timeout_seconds)
        commit = _commit(workspace, tag, source, timeout_seconds)
        found = _push(repository, workspace, tag, commit, timeout_seconds)
        shutil.rmtree(workspace)
        return found or PublishedSet(training_set, documents, commit, tracked.md5)


def _commit(workspace: Path, tag: DatasetTag, source: Checkout, timeout_seconds: float) -> str:
    """Commit with a fixed author at the time of the annotation commit, so that the same set gives the same commit."""
    date = git("show", "-s", "--format=%ct", "HEAD", cwd=workspace, timeout_seconds=timeout_seconds).strip()
    variables = {f"GIT_{role}_{field}": value for role in ("AUTHOR", "COMMITTER") for field, value in AUTHOR.items()}
    variables |= {f"GIT_{role}_DATE": f"{date} +0000" for role in ("AUTHOR", "COMMITTER")}
    paths = [tag.dvc_file, f"{tag.room}/.gitignore"]
    git("add", "--", *paths, cwd=workspace, timeout_seconds=timeout_seconds)
    message = f"Record {tag}\n\nMade by sightline record from {source.tag} (commit {source.commit})."
    commit = ["commit", "--quiet", "--no-verify", "--message", message]
    git(*commit, cwd=workspace, timeout_seconds=timeout_seconds, variables=variables)
    return git("rev-parse", "HEAD", cwd=workspace, timeout_seconds=timeout_seconds).strip()


def _push(
    repository: str, workspace: Path, tag: DatasetTag, commit: str, timeout_seconds: float
) -> PublishedSet | None:
    """Push the tag and nothing else; what stands there when another process was faster is returned."""
    url = git_url(repository)
    push = ["push", "--quiet", "origin", f"{commit}:refs/tags/{tag}"]
    try:
        git(*push, cwd=workspace, timeout_seconds=timeout_seconds, trusted=[url])
    except RepositoryError:
        found = find_training_tag(repository, tag, timeout_seconds)
        if found is not None:
            return found
        if not _unlock(repository, tag):
            raise
        git(*push, cwd=workspace, timeout_seconds=timeout_seconds, trusted=[url])
    _log.info("published %s (commit %s)", tag, commit[:12])
    return None


def _unlock(repository: str, tag: DatasetTag) -> bool:
    """Remove the lock of the tag that a killed git left in a repository on this machine; False where there was none.

    Git holds it for milliseconds, so one that does not change for :data:`STALE_LOCK_SECONDS` is nobody's.
    """
    root = Path(repository.removeprefix("file://")).expanduser()
    lock = (root / ".git" if (root / ".git").is_dir() else root) / "refs" / "tags" / f"{tag}.lock"
    before = _identity(lock)
    if before is None:
        return False
    time.sleep(STALE_LOCK_SECONDS)
    if _identity(lock) == before:
        _log.warning("%s was left behind by a git that was killed; it is removed", lock)
        lock.unlink(missing_ok=True)
    return True


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns
