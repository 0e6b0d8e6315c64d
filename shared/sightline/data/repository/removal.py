"""Removes a dataset version: a tombstone is added, the tag is deleted, and nothing else changes.

The commit, the objects on the DVC remote and the branch are kept, so that adding the same folder restores the version.
In a clone, the tags of its origin are authoritative, and the clone is updated.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sightline.data.dvc.objects import read_dvc_file
from sightline.data.git.commands import explain_os_errors, git, redact
from sightline.data.git.decisions import SIGHTLINE, Change, OutpacedError, annotated_tag, decide, last_decision
from sightline.data.git.origin import Places, differing_tag, find_places
from sightline.data.git.references import (
    TAGS,
    TOMBSTONES,
    References,
    git_url,
    local_path,
    read_references,
    tombstone_reference,
)
from sightline.data.repository.creation import git_dir_of, without_stale_locks
from sightline.data.repository.tombstones import Tombstone, missing_tag, read_tombstones, to_message
from sightline.data.tags import DatasetTag
from sightline.errors import RepositoryError
from sightline.lock import LOCK_SECONDS, exclusive_lock
from sightline.temporary_folder import temporary_folder

ATTEMPTS = 100

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Removable:
    """A version that can be removed, or was removed before.

    Attributes:
        tombstone: Its description.
        done: Whether it was removed before.
    """

    tombstone: Tombstone
    done: bool


def find_removable(repository: str, tag: DatasetTag, timeout_seconds: float) -> Removable:
    """Find the version that :func:`remove_version` would remove; nothing is changed.

    Raises:
        UnknownTagError: There is no such version.
        RepositoryError: A training set was made from it, or the clone and its origin have different commits for it.
    """
    places = find_places(repository, timeout_seconds)
    with _scratch(timeout_seconds) as git_dir:
        return _look(_Removal(places, git_dir, tag, timeout_seconds))


def remove_version(
    repository: str,
    tag: DatasetTag,
    why: str,
    timeout_seconds: float = 3600.0,
    *,
    lock_seconds: float = LOCK_SECONDS,
) -> Removable:
    """Remove a version; does nothing if it was removed before or is removed concurrently.

    If killed at any point, the same call completes the removal.

    Args:
        repository: The data repository, or a clone of it on this machine.
        tag: The version.
        why: The reason, for the tombstone.
        timeout_seconds: Limit for one git command.
        lock_seconds: How long to wait for another process that works on the repository.

    Raises:
        UnknownTagError: There is no such version.
        RepositoryError: As for :func:`find_removable`; or git failed.
    """
    places = find_places(repository, timeout_seconds)
    with (
        explain_os_errors(f"remove {tag}"),
        _alone(places, timeout_seconds, lock_seconds),
        _scratch(timeout_seconds) as git_dir,
    ):
        removal = _Removal(places, git_dir, tag, timeout_seconds)
        for attempt in range(ATTEMPTS):
            # Read before everything else: recording a training set in the meantime changes it.
            last = last_decision(places.origin, tag.dataset, timeout_seconds)
            found = _look(removal, why)
            try:
                if not found.done:
                    _decide(removal, found.tombstone, last)
                break
            except OutpacedError:
                if attempt == ATTEMPTS - 1:
                    raise
        _follow(removal)
        return found


@dataclass(frozen=True, slots=True)
class _Removal:
    """The arguments shared by the functions below."""

    places: Places
    git_dir: Path
    tag: DatasetTag
    timeout_seconds: float

    def git(self, *arguments: str, cwd: Path | None = None) -> str:
        return git(
            *arguments,
            cwd=cwd or self.git_dir,
            timeout_seconds=self.timeout_seconds,
            trusted=[git_url(place) for place in (self.places.origin, str(self.places.clone or self.places.origin))],
        )


def _look(removal: _Removal, why: str = "") -> Removable:
    name, places, timeout = str(removal.tag), removal.places, removal.timeout_seconds
    origin = read_references(places.origin, timeout)
    clone = read_references(str(places.clone), timeout) if places.clone else origin
    commit = origin.tags.get(name) or clone.tags.get(name, "")
    if not commit or (name not in origin.tags and origin.is_removed(name, commit)):
        if name not in origin.removed:
            raise missing_tag(places.origin, name, origin, timeout)
        return Removable(read_tombstones(places.origin, timeout, [name])[-1], done=True)
    if clone.tags.get(name, commit) != commit and not origin.is_removed(name, clone.tags[name]):
        raise differing_tag(places, name, commit, clone.tags[name])
    for references, place in ((origin, places.origin), (clone, str(places.clone))):
        _require_no_training_set(removal.tag, references, redact(place))
    return Removable(_described(removal, commit, why, on_origin=name in origin.tags), done=False)


def _require_no_training_set(tag: DatasetTag, references: References, place: str) -> None:
    if tag.kind == "ann" and str(tag.training) in references.tags:
        raise RepositoryError(
            f"{tag} cannot be removed: the training set {tag.training} of {place} was made from it; if no model was "
            f"trained on it, remove it first: sightline data remove {tag.training}"
        )


def _described(removal: _Removal, commit: str, why: str, *, on_origin: bool) -> Tombstone:
    """The tombstone of a version; fetches its commit."""
    tag = removal.tag
    # A commit that only the clone has is fetched with its history: its origin may lack the earlier commits, too.
    source = removal.places.origin if on_origin else str(removal.places.clone)
    depth = ["--depth", "1"] if on_origin else []
    reference = f"{TAGS}{tag}"
    removal.git("fetch", "--quiet", *depth, "--no-tags", "--", git_url(source), f"+{reference}:{reference}")
    document = removal.git("show", f"{commit}:{tag.dvc_file}")
    tracked = read_dvc_file(document, f"{tag.dvc_file} of {tag}")
    author = _author(removal)
    return Tombstone(
        tag=str(tag),
        commit=commit,
        digest=tracked.md5,
        files=tracked.files,
        by=f"{author['NAME']} <{author['EMAIL']}>",
        at=datetime.now(UTC).isoformat(timespec="microseconds"),
        why=why,
    )


def _author(removal: _Removal) -> Mapping[str, str]:
    """The author of the removal, from the git configuration of the clone or the machine."""
    settings = removal.git("config", "--list", "--null", cwd=removal.places.clone).split("\0")
    own = dict(entry.split("\n", 1) for entry in settings if "\n" in entry)
    name = own.get("user.name", "").strip()
    return {"NAME": name, "EMAIL": own.get("user.email", "").strip() or "unknown"} if name else SIGHTLINE


def _decide(removal: _Removal, tombstone: Tombstone, last: str) -> None:
    """Push the tombstone, and delete the tag."""
    tag, places, timeout = removal.tag, removal.places, removal.timeout_seconds
    reference = tombstone_reference(str(tag), tombstone.commit)
    name, message = reference.removeprefix(TAGS), to_message(tombstone)
    author = _author(removal)
    made = annotated_tag(
        removal.git_dir, name, tombstone.commit, message=message, author=author, timeout_seconds=timeout
    )
    changes = [Change(reference, "", made)]
    present = read_references(places.origin, timeout).objects.get(f"{TAGS}{tag}", "")
    if present:
        changes.append(Change(f"{TAGS}{tag}", present, ""))
    decide(
        removal.git_dir, places.origin, tag.dataset, last=last, changes=changes, commit=tombstone.commit,
        timeout_seconds=timeout,
    )  # fmt: skip
    _log.info("removed %s (commit %s)", tag, tombstone.commit[:12])


def _follow(removal: _Removal) -> None:
    """Complete the work of a killed call: delete the tag everywhere, and add the tombstones to the clone."""
    tag, places, timeout = str(removal.tag), removal.places, removal.timeout_seconds
    origin = read_references(places.origin, timeout)
    if places.clone:
        url = git_url(places.origin)
        fetch = ["fetch", "--quiet", "--no-tags", "--", url, f"+{TOMBSTONES}{tag}/*:{TOMBSTONES}{tag}/*"]
        removal.git(*fetch, cwd=places.clone)
    for place in [places.origin, *([str(places.clone)] if places.clone else [])]:
        there = read_references(place, timeout)
        name = there.objects.get(f"{TAGS}{tag}", "")
        if not name or tag in there.tags or tag not in origin.removed:
            continue
        lease = f"--force-with-lease={TAGS}{tag}:{name}"  # it may be restored concurrently
        try:
            removal.git("push", "--quiet", lease, "--", git_url(place), f":{TAGS}{tag}")
        except RepositoryError:
            if read_references(place, timeout).objects.get(f"{TAGS}{tag}", "") == name:
                raise


@contextmanager
def _scratch(timeout_seconds: float) -> Iterator[Path]:
    with temporary_folder("history") as folder:
        git("init", "--quiet", "--bare", "--template=", cwd=Path(folder), timeout_seconds=timeout_seconds)
        yield Path(folder)


@contextmanager
def _alone(places: Places, timeout_seconds: float, lock_seconds: float) -> Iterator[None]:
    """Lock the local repository against a concurrent ``sightline data add``."""
    path = places.clone or local_path(places.origin)
    if not (path / ".git").exists():
        yield
        return
    git_dir = git_dir_of(path, timeout_seconds)
    with exclusive_lock(git_dir / "sightline.lock", lock_seconds), without_stale_locks(git_dir):
        yield
