"""Serializes decisions about a dataset, such as the creation of a training set.

Two processes that record two versions without seeing each other could assign one image to different splits.  So each
dataset has one reference, ``refs/sightline/<dataset>_versions``, that every such decision updates, together with its
tags and only from the value that it was based on.  The slower process finds that the reference has changed, and decides
again.

The reference only defines the order: the training sets are the ones that have tags, whoever created them.  If it is
missing, because an earlier release created the tags, the first decision creates it.
"""

from __future__ import annotations

import logging
import random
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sightline.data.git.commands import git
from sightline.data.git.references import TAGS, git_url, local_path, read_references
from sightline.errors import RepositoryError

STALE_LOCK_SECONDS = 5.0
"""Git holds a lock for milliseconds, so a lock that is this old is abandoned."""

ATTEMPTS = 10
"""Push attempts per decision: a concurrent push locks the references for a moment."""

SIGHTLINE = {"NAME": "sightline", "EMAIL": "sightline@localhost"}
"""The author of generated commits and tags."""

_LOCKED = re.compile(r"cannot lock ref|unable to (create|lock)|failed to update ref|stale info|remote rejected", re.I)
_FORBIDDEN = re.compile(r"hook declined|hidden ref|protected|prohibited|not allowed|deny updating", re.I)
_CLOSED = re.compile(r"permission denied|read-only file system", re.I)
"""Permanent causes, although git reports a lock that it could not create."""
_log = logging.getLogger(__name__)


class OutpacedError(RepositoryError):
    """Another decision about the same dataset came first; read it and decide again."""


@dataclass(frozen=True, slots=True)
class Change:
    """The change of one reference in a decision.

    Attributes:
        reference: Its full name.
        before: Expected current object; empty: the reference must not exist.
        after: New object; empty: the reference is deleted.
    """

    reference: str
    before: str
    after: str


def decision_reference(dataset: str) -> str:
    """The full name of the reference that orders the decisions about a dataset."""
    return f"refs/sightline/{dataset}_versions"  # a dataset's name may end in ".lock", which git does not allow


def last_decision(repository: str, dataset: str, timeout_seconds: float) -> str:
    """The object of the last decision; empty if there was none.

    Read it before reading the tags that the next decision is based on.

    Raises:
        RepositoryError: There is no such repository, or it cannot be reached.
    """
    url, reference = git_url(repository), decision_reference(dataset)
    output = git("ls-remote", "--", url, reference, timeout_seconds=timeout_seconds, trusted=[url])
    found = (line.split("\t") for line in output.splitlines())
    return next((name for name, known_as in found if known_as == reference), "")


def annotated_tag(
    git_dir: Path, name: str, commit: str, *, message: str, author: Mapping[str, str], timeout_seconds: float
) -> str:
    """Create an annotated tag in a local repository, and return its object."""
    variables = {f"GIT_COMMITTER_{field}": value for field, value in author.items()}
    options = ["--annotate", "--force", "--cleanup=verbatim", "--message", message]
    git("tag", *options, name, commit, cwd=git_dir, timeout_seconds=timeout_seconds, variables=variables)
    return git("rev-parse", f"{TAGS}{name}", cwd=git_dir, timeout_seconds=timeout_seconds).strip()


def decide(
    git_dir: Path,
    repository: str,
    dataset: str,
    *,
    last: str,
    changes: Sequence[Change],
    commit: str,
    timeout_seconds: float,
) -> None:
    """Push a decision atomically.

    Args:
        git_dir: A local repository that contains the objects.
        repository: The data repository.
        dataset: The dataset.
        last: The result of :func:`last_decision` before the decision was made.
        changes: The changes of references.
        commit: The commit that the reference's new object points to.
        timeout_seconds: Limit for one git command.

    Raises:
        OutpacedError: Another decision came first, or a tag has changed; nothing was pushed.
        RepositoryError: The repository is not writable.
    """
    said = f"{', '.join(change.reference for change in changes)}\n\nafter {last or 'none'}\n{secrets.token_hex(16)}\n"
    name = f"sightline-{dataset}"
    mark = annotated_tag(git_dir, name, commit, message=said, author=SIGHTLINE, timeout_seconds=timeout_seconds)
    # The first reference in the list is written first if the server is killed in the middle.
    every = [Change(decision_reference(dataset), last, mark), *changes]
    leases = [f"--force-with-lease={change.reference}:{change.before}" for change in every]
    refspecs = [f"{change.after}:{change.reference}" for change in every]
    url = git_url(repository)
    for attempt in range(ATTEMPTS):
        try:
            push = ["push", "--quiet", "--atomic", *leases, "--", url, *refspecs]
            git(*push, cwd=git_dir, timeout_seconds=timeout_seconds, trusted=[url])
            return
        except RepositoryError as error:
            if _is_done(repository, dataset, every, timeout_seconds):
                return  # only the response was lost
            if attempt == ATTEMPTS - 1 or not _LOCKED.search(str(error)):
                raise
            if _FORBIDDEN.search(str(error)):
                raise RepositoryError(
                    f"{error}\nThe server must allow pushing tags, deleting them, and pushing {every[0].reference}, "
                    "which prevents two concurrent recordings from assigning images to different splits; ask its "
                    "administrator"
                ) from error
            if _CLOSED.search(str(error)):
                raise
            if not _unlock(repository, [change.reference for change in every]):
                time.sleep(random.uniform(0.05, 0.3) * (attempt + 1))  # noqa: S311  (jitter, not a secret)


def _is_done(repository: str, dataset: str, every: Sequence[Change], timeout_seconds: float) -> bool:
    """Whether the complete decision was pushed already.

    Raises:
        OutpacedError: The references have other values.
    """
    present = dict(read_references(repository, timeout_seconds).objects)
    present[every[0].reference] = last_decision(repository, dataset, timeout_seconds)
    found = [present.get(change.reference, "") for change in every]
    if found == [change.after for change in every]:
        return True
    for change, name in zip(every, found, strict=True):
        if name != change.before:
            raise OutpacedError(f"{change.reference} points to {name or 'nothing'}, not {change.before or 'nothing'}")
    return False


def _unlock(repository: str, references: Sequence[str]) -> bool:
    """Remove locks that a killed git left in a local repository; False if there were none."""
    root = local_path(repository)
    git_dir = root / ".git" if (root / ".git").is_dir() else root
    locks = [git_dir / f"{name}.lock" for name in (*references, "packed-refs")]
    before = {lock: _identity(lock) for lock in locks}
    if not any(before.values()):
        return False
    time.sleep(STALE_LOCK_SECONDS)
    for lock, identity in before.items():
        if identity is not None and _identity(lock) == identity:
            _log.warning("%s was left behind by a git process that was killed; removing it", lock)
            lock.unlink(missing_ok=True)
    return True


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns
