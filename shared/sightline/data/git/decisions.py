"""Decisions about a dataset, such as the list of its training sets, are made one at a time.

Two recorders of two versions that do not see each other could put one image on two sides.  So each dataset has one
reference, ``refs/sightline/<dataset>_versions``, that every such decision moves, together with its tags and only from
the value that it was based on.  Whoever comes second finds that it moved, and decides again.

The reference orders and says nothing more: the training sets are those that have tags, whoever made them.  Where it is
missing, because an earlier release made the tags, the first decision makes it.
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
"""Git holds a lock for milliseconds, so one that does not change for so long is nobody's."""

ATTEMPTS = 10
"""Pushes of one decision: another one that is under way locks the references for a moment."""

SIGHTLINE = {"NAME": "sightline", "EMAIL": "sightline@localhost"}
"""The author of what no person made."""

_LOCKED = re.compile(r"cannot lock ref|unable to (create|lock)|failed to update ref|stale info|remote rejected", re.I)
_FORBIDDEN = re.compile(r"hook declined|hidden ref|protected|prohibited|not allowed|deny updating", re.I)
_CLOSED = re.compile(r"permission denied|read-only file system", re.I)
"""Causes that stay, though git speaks of a lock that it could not create."""
_log = logging.getLogger(__name__)


class OutpacedError(RepositoryError):
    """Another decision on the same dataset came first; read it and decide again."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a decision does to one reference.

    Attributes:
        reference: Its full name.
        before: The object that it must name now; empty: it must not be there.
        after: The object that it names then; empty: it is deleted.
    """

    reference: str
    before: str
    after: str


def decision_reference(dataset: str) -> str:
    """The full name of the reference that orders the decisions on a dataset."""
    return f"refs/sightline/{dataset}_versions"  # a dataset's name alone may end in ".lock", which git refuses


def last_decision(repository: str, dataset: str, timeout_seconds: float) -> str:
    """The object that stands for the last decision; empty where there was none.

    Read it before the tags that the next decision is based on.

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
    """Make an annotated tag in a repository of our own, and return its object."""
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
    """Push a decision: all of it, or nothing.

    Args:
        git_dir: A repository of our own that has the objects.
        repository: The data repository.
        dataset: Whose versions change.
        last: What :func:`last_decision` gave before the decision was taken.
        changes: What it does.
        commit: What the reference's new object points to.
        timeout_seconds: Limit for one git command.

    Raises:
        OutpacedError: Another decision came first, or a tag is not what it was; nothing was changed.
        RepositoryError: The repository cannot be written.
    """
    said = f"{', '.join(change.reference for change in changes)}\n\nafter {last or 'none'}\n{secrets.token_hex(16)}\n"
    name = f"sightline-{dataset}"
    mark = annotated_tag(git_dir, name, commit, message=said, author=SIGHTLINE, timeout_seconds=timeout_seconds)
    # The first in the list is the first to be written, should the server be killed in the middle.
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
                return  # only the answer was lost
            if attempt == ATTEMPTS - 1 or not _LOCKED.search(str(error)) or _CLOSED.search(str(error)):
                raise
            if _FORBIDDEN.search(str(error)):
                raise RepositoryError(
                    f"{error}\nThe server must allow pushing tags, deleting them, and pushing {every[0].reference}, "
                    "which prevents two concurrent recordings from assigning images to different splits; ask its "
                    "administrator"
                ) from error
            if not _unlock(repository, [change.reference for change in every]):
                time.sleep(random.uniform(0.05, 0.3) * (attempt + 1))  # noqa: S311  (jitter, not a secret)


def _is_done(repository: str, dataset: str, every: Sequence[Change], timeout_seconds: float) -> bool:
    """Whether all of it is there already.

    Raises:
        OutpacedError: The references are not what they were.
    """
    present = dict(read_references(repository, timeout_seconds).objects)
    present[every[0].reference] = last_decision(repository, dataset, timeout_seconds)
    found = [present.get(change.reference, "") for change in every]
    if found == [change.after for change in every]:
        return True
    for change, name in zip(every, found, strict=True):
        if name != change.before:
            raise OutpacedError(f"{change.reference} names {name or 'nothing'}, not {change.before or 'nothing'}")
    return False


def _unlock(repository: str, references: Sequence[str]) -> bool:
    """Remove locks that a killed git left in a repository on this machine; False where there were none."""
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
