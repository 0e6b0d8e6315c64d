"""Descriptions of removed versions, stored as the messages of tombstones."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sightline import strict_json
from sightline.data.git.clones import clone_hint
from sightline.data.git.commands import git, redact
from sightline.data.git.references import TOMBSTONES, References, git_url, read_references, tombstone_reference
from sightline.data.tags import unknown_tag
from sightline.errors import RepositoryError, UnknownTagError
from sightline.temporary_folder import temporary_folder

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A removed version.

    Attributes:
        tag: The dataset tag.
        commit: Its commit.
        digest: MD5 of its DVC directory, with the suffix ``.dir``; empty if the tombstone cannot be read.
        files: Number of its files.
        by: Who removed it, in git's format for authors.
        at: Time of the removal, UTC, ISO 8601.
        why: The given reason.
    """

    tag: str
    commit: str
    digest: str = ""
    files: int = 0
    by: str = ""
    at: str = ""
    why: str = ""

    def __str__(self) -> str:
        when = f" on {self.at[:16].replace('T', ' ')} UTC" if self.at else ""
        who = f" by {self.by}" if self.by else ""
        why = f" ({self.why})" if self.why else ""
        # Every user with push access can write a tombstone: control characters must not reach the terminal.
        return _one_line(f"{self.tag} (commit {self.commit[:12]}) was removed{when}{who}{why}")


def to_message(tombstone: Tombstone) -> str:
    """The message of the annotated tag: a readable line, then JSON."""
    why = f": {_one_line(tombstone.why)}" if tombstone.why else ""
    document = {"format": FORMAT, **dataclasses.asdict(tombstone)}
    return f"Remove {tombstone.tag}{why}\n\n{json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False)}\n"


def from_message(message: str, tag: str, commit: str) -> Tombstone:
    """Parse a tombstone; one created by hand or by a newer Sightline also marks its version as removed."""
    try:
        document = strict_json.decode(message.partition("\n\n")[2])
        known = [field.name for field in dataclasses.fields(Tombstone)]
        fields = {name: document[name] for name in known if name in document} if isinstance(document, dict) else {}
        return strict_json.decode_as(Tombstone, json.dumps(fields | {"tag": tag, "commit": commit}))
    except ValueError:
        return Tombstone(tag, commit)


def _one_line(text: str) -> str:
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())


def read_tombstones(repository: str, timeout_seconds: float, tags: Iterable[str] = ()) -> list[Tombstone]:
    """Read the tombstones of removed versions, sorted by tag and time of removal.

    Args:
        repository: The data repository.
        timeout_seconds: Limit for one git command.
        tags: The tags to read; all by default.

    Raises:
        RepositoryError: The repository cannot be reached.
    """
    found = read_references(repository, timeout_seconds).removed
    wanted = set(tags) or set(found)
    names = {tombstone_reference(tag, commit): (tag, commit) for tag in wanted for commit in found.get(tag, ())}
    if not names:
        return []
    url = git_url(repository)
    with temporary_folder("history") as folder:
        path = Path(folder)
        git("init", "--quiet", "--bare", "--template=", cwd=path, timeout_seconds=timeout_seconds)
        fetch = ["fetch", "--quiet", "--depth", "1", "--no-tags", "--", url, *(f"+{name}:{name}" for name in names)]
        git(*fetch, cwd=path, timeout_seconds=timeout_seconds, trusted=[url])
        listing = ["for-each-ref", "--format=%(refname)%00%(contents)%00", TOMBSTONES]
        parts = git(*listing, cwd=path, timeout_seconds=timeout_seconds).split("\0")
    messages = dict(zip((name.strip() for name in parts[::2]), parts[1::2], strict=False))
    tombstones = [from_message(messages.get(name, ""), tag, commit) for name, (tag, commit) in names.items()]
    return sorted(tombstones, key=lambda one: (one.tag, one.at, one.commit))


def missing_tag(repository: str, tag: str, references: References, timeout_seconds: float) -> UnknownTagError:
    """The error for a tag that does not exist: it was removed, or never existed."""
    if tag not in references.removed:
        return unknown_tag(tag, redact(repository), references.tags, clone_hint(repository, timeout_seconds))
    try:
        removals = read_tombstones(repository, timeout_seconds, [tag])
    except RepositoryError:  # the error is about the removal; its time is a detail
        removals = []
    last = removals[-1] if removals else Tombstone(tag, min(references.removed[tag]))
    others = sorted(other for other in references.tags if other.startswith(f"{tag.rpartition('_')[0]}_"))
    there = f"it has {', '.join(others)}" if others else "it has no other version of this kind"
    return UnknownTagError(f"{last}; choose another version of {redact(repository)} ({there})")
