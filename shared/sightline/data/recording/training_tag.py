"""Training tags: publishes a training set atomically, and reads it back.

The commit of a training tag is a child of the annotation tag's commit and on no branch: only the tag is pushed.  So
concurrent records never compete for a branch, the branch of annotations stays readable, and one commit identifies both
kinds of data.  The commit is a pure function of the training set, its parent and previously removed training sets, so
repeating it creates the same commit.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sightline.data.annotations import LabelledImage, SplitName
from sightline.data.dvc.publish import publish_folder
from sightline.data.formats.coco import CocoDocument, decode_coco
from sightline.data.git.commands import explain_os_errors, git
from sightline.data.git.decisions import SIGHTLINE, Change, OutpacedError, decide
from sightline.data.git.references import TAGS, References, read_references
from sightline.data.recording.filling import SPLITS
from sightline.data.recording.training_set import TrainingSet, from_bytes, write_training_set
from sightline.data.repository.checkout import Checkout, clone
from sightline.data.repository.history import list_tags, open_history
from sightline.data.repository.tombstones import missing_tag
from sightline.data.tags import DatasetTag
from sightline.data.workspace import Workspace
from sightline.lock import exclusive_lock, shared_lock

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PublishedSet:
    """A training set and its tag.

    Attributes:
        training_set: The training set.
        documents: The COCO document of each split.
        commit: The commit of the tag.
        digest: MD5 of its DVC directory, with the suffix ``.dir``.
    """

    training_set: TrainingSet
    documents: Mapping[SplitName, CocoDocument]
    commit: str
    digest: str


def find_training_tag(repository: str, tag: DatasetTag, timeout_seconds: float) -> PublishedSet | None:
    """Read the training set of a tag without a pull; None if the tag does not exist or was removed.

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
    workspace: Workspace,
    source: Checkout,
    training_set: TrainingSet,
    documents: Mapping[SplitName, CocoDocument],
    images: Sequence[LabelledImage],
    *,
    last_decision: str,
) -> PublishedSet:
    """Push the files to the DVC remote, then the tag; if another process pushed it first, its training set is returned.

    Args:
        workspace: The data repository, and the folder in which the set is created.
        source: The annotation tag that the set was created from.
        training_set: The set.
        documents: Its COCO documents.
        images: Its images; the embedded ones are written.
        last_decision: The dataset's last decision before the earlier versions were read.

    Raises:
        OutpacedError: Another version of the dataset was recorded or removed concurrently; read the earlier ones again.
        UnknownTagError: The annotation tag was removed concurrently.
        RepositoryError: Git or DVC failed, the disk is full, or the annotation tag was moved concurrently.
    """
    tag = DatasetTag.parse(source.tag).training
    repository, timeout_seconds, folder = workspace.repository, workspace.timeout_seconds, workspace.publications
    with (
        explain_os_errors(f"write the training set {tag}"),
        exclusive_lock(folder / ".locks" / str(tag), workspace.lock_seconds),
        shared_lock(workspace.cache_lock, workspace.lock_seconds),
    ):
        found = find_training_tag(repository, tag, timeout_seconds)
        if found is not None:
            return found
        path = folder / f"{tag}.part"
        clone(workspace, source.tag, source.commit, path)
        write_training_set(path / tag.folder, training_set, documents, images)
        tracked = publish_folder(path, tag, jobs=workspace.jobs, timeout_seconds=timeout_seconds)
        references = _require_present(repository, source, timeout_seconds)
        commit = _commit(path, tag, source, references.removed.get(str(tag), ()), timeout_seconds)
        reference = f"{TAGS}{tag}"
        # The tag of a removed version that a clone pushed again is replaced; a valid tag is not.
        before = "" if str(tag) in references.tags else references.objects.get(reference, "")
        change = Change(reference, before, commit)
        try:
            decide(
                path, repository, tag.dataset, last=last_decision, changes=[change], commit=commit,
                timeout_seconds=timeout_seconds,
            )  # fmt: skip
        except OutpacedError:
            found = find_training_tag(repository, tag, timeout_seconds)
            if found is None:
                raise
        else:
            _log.info("published %s (commit %s)", tag, commit[:12])
        shutil.rmtree(path)
        return found or PublishedSet(training_set, documents, commit, tracked.md5)


def _require_present(repository: str, source: Checkout, timeout_seconds: float) -> References:
    """The current tags of the repository, which must include the annotation tag."""
    references = read_references(repository, timeout_seconds)
    if source.tag not in references.tags:
        raise missing_tag(repository, source.tag, references, timeout_seconds)
    return references


def _commit(path: Path, tag: DatasetTag, source: Checkout, removed: Iterable[str], timeout_seconds: float) -> str:
    """Commit with a fixed author at the time of the annotation commit, so that the same set gives the same commit.

    The message lists the removed training sets that it replaces, so that the commit differs from theirs.
    """
    date = git("show", "-s", "--format=%ct", "HEAD", cwd=path, timeout_seconds=timeout_seconds).strip()
    variables = {f"GIT_{role}_{field}": value for role in ("AUTHOR", "COMMITTER") for field, value in SIGHTLINE.items()}
    variables |= {f"GIT_{role}_DATE": f"{date} +0000" for role in ("AUTHOR", "COMMITTER")}
    paths = [tag.dvc_file, f"{tag.room}/.gitignore"]
    git("add", "--", *paths, cwd=path, timeout_seconds=timeout_seconds)
    message = f"Record {tag}\n\nMade by sightline record from {source.tag} (commit {source.commit})."
    if removed:
        message += f"\nIn the place of what was removed: {', '.join(sorted(removed))}."
    commit = ["commit", "--quiet", "--no-verify", "--message", message]
    git(*commit, cwd=path, timeout_seconds=timeout_seconds, variables=variables)
    return git("rev-parse", "HEAD", cwd=path, timeout_seconds=timeout_seconds).strip()
