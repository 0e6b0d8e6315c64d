"""Snapshots in a bucket: one object each, written only if missing, and a pointer to the current one."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sightline import strict_json
from sightline.code.snapshot import MAX_BYTES, Manifest, Published, Snapshot, read_snapshot
from sightline.code.volume import publish_to_volume
from sightline.documents import DocumentError, DocumentKind
from sightline.errors import CodeError, ObjectNotFoundError, PreconditionFailedError
from sightline.storage import Storage

POINTER_KEY = "code/CURRENT.json"
SNAPSHOT_KEY = re.compile(r"code/snapshots/([0-9a-f]{64})\.json")

_ATTEMPTS = 20
_REVISION = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Pointer:
    """The contents of ``code/CURRENT.json``.

    Attributes:
        revision: The current snapshot.
        published: When it became the current one; UTC, ISO 8601.
    """

    revision: str
    published: str


POINTER = DocumentKind("code pointer", Pointer)


def snapshot_key(revision: str) -> str:
    """The key of a snapshot: ``code/snapshots/<revision>.json``."""
    return f"code/snapshots/{revision}.json"


def publish_to_bucket(snapshot: Snapshot, storage: Storage) -> Published:
    """Publish a snapshot to a bucket, and make it the current one; existing identical code is left unchanged.

    If it is killed at any point, the pointer is the old or the new one and always refers to an existing snapshot.

    Args:
        snapshot: The snapshot to publish.
        storage: The bucket.

    Raises:
        StorageError: The bucket cannot be read or written.
        CodeError: Other processes keep publishing.
    """
    place = storage.uri_of(snapshot_key(snapshot.revision))
    pointer, generation = read_pointer(storage)
    if pointer is not None and pointer.revision == snapshot.revision:
        present = _present(storage, snapshot.revision)
        if present is not None:
            return Published(present.manifest, place, new=False, moved=False)
    manifest, new = _write(storage, snapshot)
    for _ in range(_ATTEMPTS):
        if pointer is not None and pointer.revision == snapshot.revision:
            return Published(manifest, place, new, moved=False)
        mine = Pointer(snapshot.revision, datetime.now(UTC).isoformat(timespec="seconds"))
        try:
            storage.write_bytes(POINTER_KEY, json.dumps(POINTER.encode(mine)).encode(), if_generation=generation)
        except PreconditionFailedError:
            pointer, generation = read_pointer(storage)
        else:
            return Published(manifest, place, new, moved=True)
    raise _busy(storage.uri_of(POINTER_KEY))


def bring_from_bucket(storage: Storage, revision: str, volume: Path) -> Published:
    """Copy a snapshot from a bucket to a volume and verify it; CURRENT of the volume is not changed.

    Args:
        storage: The bucket.
        revision: All 64 digits.
        volume: The folder that is mounted in pods as ``$SIGHTLINE_CODE``.

    Raises:
        CodeError: The snapshot is missing in the bucket or damaged, or the volume is not writable.
        StorageError: The bucket cannot be read.
    """
    snapshot = read_from_bucket(storage, revision)
    if snapshot is None:
        raise CodeError(f"{storage.uri} has no code snapshot {revision}; publish that code again, or name another")
    return publish_to_volume(snapshot, volume, make_current=False)


def read_from_bucket(storage: Storage, revision: str) -> Snapshot | None:
    """A verified snapshot from a bucket; None if it does not exist.

    Raises:
        CodeError: Its contents do not match its name.
        StorageError: The bucket cannot be read.
    """
    key = snapshot_key(revision)
    info = storage.stat(key)
    if info is None:
        return None
    if info.size > 2 * MAX_BYTES:
        raise CodeError(f"{storage.uri_of(key)} is not a valid code snapshot: it has {info.size:,} bytes")
    return read_snapshot(revision, storage.read_bytes(key)[0], storage.uri_of(key))


def read_pointer(storage: Storage) -> tuple[Pointer | None, int]:
    """The pointer of a bucket, or None, and its generation.

    Raises:
        CodeError: It is not a valid pointer.
        StorageError: The bucket cannot be read.
    """
    try:
        text, info = storage.read_bytes(POINTER_KEY)
    except ObjectNotFoundError:
        return None, 0
    try:
        pointer = POINTER.decode(text)
        if not _REVISION.fullmatch(pointer.revision):
            raise DocumentError(f"revision: {strict_json.shown(pointer.revision)} is not a revision")
    except DocumentError as error:
        remedy = error.remedy("remove it and publish the code again")
        raise CodeError(f"{storage.uri_of(POINTER_KEY)} cannot be read ({error}); {remedy}") from error
    return pointer, info.generation


def revisions_in_bucket(storage: Storage, beginning: str = "") -> list[str]:
    """The revisions in a bucket with this prefix."""
    matches = (SNAPSHOT_KEY.fullmatch(key) for key in storage.names(f"code/snapshots/{beginning}"))
    return [match[1] for match in matches if match]


def _present(storage: Storage, revision: str) -> Snapshot | None:
    """The snapshot in the bucket; None if it is missing or damaged."""
    try:
        return read_from_bucket(storage, revision)
    except CodeError:
        return None


def _write(storage: Storage, snapshot: Snapshot) -> tuple[Manifest, bool]:
    """Write the object; an existing one is renewed, so that garbage collection does not treat it as old.

    Returns:
        The manifest of the object in the bucket, and whether it was written by this call.
    """
    key = snapshot_key(snapshot.revision)
    for _ in range(_ATTEMPTS):
        info, present = storage.stat(key), _present(storage, snapshot.revision)
        try:
            if present is None:
                storage.write_bytes(key, snapshot.to_json(), if_generation=info.generation if info else 0)
                return snapshot.manifest, True
            storage.write_bytes(key, storage.read_bytes(key)[0], if_generation=0)
        except (PreconditionFailedError, ObjectNotFoundError):
            continue
        return present.manifest, False
    raise _busy(storage.uri_of(key))


def _busy(uri: str) -> CodeError:
    return CodeError(f"{uri} keeps being changed by other processes; publish again later")
