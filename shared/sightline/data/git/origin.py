"""The authoritative repository for dataset versions: the origin of a clone, or the repository itself.

Users with separate clones see each other's versions only in the origin.  So versions are added, recorded and removed
in the origin, and the clone is updated.
"""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from pathlib import Path

from sightline.data.git.branch import Branch, open_branch
from sightline.data.git.commands import not_readable, redact
from sightline.data.git.references import TAGS, References, local_path, read_references, tombstone_reference
from sightline.data.tags import DatasetTag, dataset_tags
from sightline.errors import RepositoryError


@dataclass(frozen=True, slots=True)
class Places:
    """The repositories that contain the tags of a data repository.

    Attributes:
        origin: The authoritative repository.
        clone: A local clone that is kept up to date; None if there is none.
    """

    origin: str
    clone: Path | None


def find_places(repository: str, timeout_seconds: float) -> Places:
    """Find the authoritative repository, and whether ``repository`` is only a clone of it.

    Raises:
        RepositoryError: This user may not read the repository.
    """
    path = local_path(repository).absolute()
    try:
        if not (path / ".git").exists():
            return Places(repository, None)
    except PermissionError as error:
        raise RepositoryError(not_readable(path)) from error
    branch = open_branch(path, timeout_seconds)
    if not branch.remote:
        return Places(repository, None)
    url = branch.addresses[-1]
    local = ":" not in url and not Path(url).is_absolute()
    return Places(os.path.normpath(path / url) if local else url, path)


def require_same_tags(places: Places, dataset: str, timeout_seconds: float) -> None:
    """Reject a clone that has versions of a dataset that its origin lacks.

    Raises:
        RepositoryError: With the command that publishes or deletes them; or the origin cannot be reached.
    """
    if places.clone is None:
        return
    try:
        origin = read_references(places.origin, timeout_seconds)
    except RepositoryError as error:
        raise RepositoryError(
            f"{error}\n{places.clone} is a clone of {redact(places.origin)}, where versions are recorded so that "
            "others can see them; try again when it can be reached or, if you always work alone, make the clone an "
            f"independent repository ({_git(places.clone)} remote remove origin)"
        ) from error
    clone = read_references(str(places.clone), timeout_seconds)
    ours = [str(tag) for tag in dataset_tags(clone.tags) if tag.dataset == dataset]
    ours = [tag for tag in ours if not origin.is_removed(tag, clone.tags[tag])]
    unknown = [tag for tag in ours if tag not in origin.tags]
    if unknown:
        raise RepositoryError(
            f"{', '.join(unknown)} of the clone {places.clone} are not in its origin {redact(places.origin)}, where "
            f"versions are recorded; publish them ({_git(places.clone)} push origin {' '.join(unknown)}), then run the "
            "same command again"
        )
    for tag in ours:
        if clone.tags[tag] != origin.tags[tag]:
            raise differing_tag(places, tag, origin.tags[tag], clone.tags[tag])


def differing_tag(places: Places, tag: str, origin: str, clone: str) -> RepositoryError:
    """The error for a version with different commits in the clone and in its origin."""
    return RepositoryError(
        f"{tag} points to {origin[:12]} in {redact(places.origin)}, but to {clone[:12]} in the clone {places.clone}; a "
        f"version never changes: delete the clone's own tag first ({_git(places.clone)} tag --delete {tag}), then run "
        "the same command again"
    )


def follow(places: Places, dataset: str, timeout_seconds: float) -> None:
    """Fetch the versions of a dataset from the origin to the clone; those removed there are removed here."""
    if places.clone is not None:
        branch = open_branch(places.clone, timeout_seconds)
        fetch_dataset_tags(branch, branch.published().references, dataset)


def fetch_dataset_tags(branch: Branch, there: References, dataset: str) -> None:
    """Fetch a dataset's tags: they determine the next version, and which files belong to a version.

    Tombstones are fetched first, so that the tag of a removed version can be replaced by its restored one.

    Args:
        branch: The checked-out branch.
        there: The tags of the remote.
        dataset: The dataset's name.
    """
    here = read_references(str(branch.root), branch.timeout_seconds)
    stones = [
        tombstone_reference(tag, commit).removeprefix(TAGS)
        for tag, commits in there.removed.items()
        for commit in commits
        if DatasetTag.parse(tag).dataset == dataset and not here.is_removed(tag, commit)
    ]
    branch.fetch_tags(stones)
    here = forget_removed_tags(branch, dataset)
    wanted = [str(tag) for tag in dataset_tags(there.tags) if tag.dataset == dataset]
    branch.fetch_tags([tag for tag in wanted if tag not in here.tags])


def forget_removed_tags(branch: Branch, dataset: str) -> References:
    """Delete local tags of removed versions of a dataset; returns the remaining tags."""
    here = read_references(str(branch.root), branch.timeout_seconds)
    for tag in here.removed:
        made = here.objects.get(f"{TAGS}{tag}", "")
        if made and tag not in here.tags and DatasetTag.parse(tag).dataset == dataset:
            branch.git("update-ref", "-d", f"{TAGS}{tag}", made)
    return here


def _git(path: Path | None) -> str:
    return f"git -C {shlex.quote(str(path))}"
