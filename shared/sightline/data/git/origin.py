"""The repository that decides which dataset versions there are: the origin of a clone, or the repository itself.

Two people who each work in a clone of their own see each other's versions only there.  So versions are added, recorded
and removed at the origin, and the clone follows.
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
    """Where the tags of a data repository are.

    Attributes:
        origin: The repository that decides.
        clone: A clone of it on this machine that follows; None where there is none.
    """

    origin: str
    clone: Path | None


def find_places(repository: str, timeout_seconds: float) -> Places:
    """Which repository decides, and whether ``repository`` is only a clone of it.

    Raises:
        RepositoryError: This user may not read it.
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
    """Refuse a clone that has versions of a dataset which its origin does not know.

    Raises:
        RepositoryError: With the command that publishes or drops them; or the origin cannot be asked.
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
    """The error for a version that names other commits in the clone than in its origin."""
    return RepositoryError(
        f"{tag} names commit {origin[:12]} in {redact(places.origin)} and {clone[:12]} in the clone {places.clone}; a "
        f"version never changes: delete the clone's own tag first ({_git(places.clone)} tag --delete {tag}), then run "
        "the same command again"
    )


def follow(places: Places, dataset: str, timeout_seconds: float) -> None:
    """Bring the versions of a dataset that the origin has to the clone; those that were removed there go here."""
    if places.clone is not None:
        branch = open_branch(places.clone, timeout_seconds)
        fetch_dataset_tags(branch, branch.published().references, dataset)


def fetch_dataset_tags(branch: Branch, there: References, dataset: str) -> None:
    """Bring a dataset's tags here: they say which version comes next, and which files some version has.

    The tombstones come first, so that a tag of a removed version makes room for the one that came back.

    Args:
        branch: What is checked out here.
        there: The tags of its remote.
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
    """Delete the tags of a dataset here that name versions which were removed; the tags that are left."""
    here = read_references(str(branch.root), branch.timeout_seconds)
    for tag in here.removed:
        made = here.objects.get(f"{TAGS}{tag}", "")
        if made and tag not in here.tags and DatasetTag.parse(tag).dataset == dataset:
            branch.git("update-ref", "-d", f"{TAGS}{tag}", made)
    return here


def _git(path: Path | None) -> str:
    return f"git -C {shlex.quote(str(path))}"
