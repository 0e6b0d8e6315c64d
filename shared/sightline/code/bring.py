"""Resolve the ``code_rev`` of a run, and copy its snapshot from the result bucket to the volume if needed."""

from __future__ import annotations

from pathlib import Path

import sightline_bootstrap
from sightline.code import volume as on_volume
from sightline.code.bucket import bring_from_bucket, read_pointer, revisions_in_bucket
from sightline.errors import CodeError
from sightline.storage import Storage
from sightline_bootstrap import SnapshotError


def bring(code_rev: str, storage: Storage, volume: Path) -> str:
    """Ensure that the volume contains an intact snapshot; a damaged one is replaced.

    ``current`` is resolved by the pointer of the bucket, and CURRENT of the volume is updated to it.  If the bucket
    has no pointer, CURRENT of the volume is used: the code was published from a notebook with the volume mounted.

    Args:
        code_rev: ``current``, or a revision or at least 8 digits of its beginning.
        storage: The result bucket.
        volume: The folder that is mounted in pods as ``$SIGHTLINE_CODE``.

    Returns:
        The revision, 64 hexadecimal digits.

    Raises:
        CodeError: Nothing was published, no or several snapshots match, or the snapshot is damaged.
        StorageError: The bucket cannot be read.
    """
    if code_rev != sightline_bootstrap.CURRENT:
        revision = _only(code_rev, storage)
        bring_from_bucket(storage, revision, volume)
        return revision
    pointer, _ = read_pointer(storage)
    if pointer is None:
        return _current(volume, storage)
    sightline_bootstrap.touch(volume, pointer.revision)
    if not on_volume.is_valid(volume, pointer.revision):
        bring_from_bucket(storage, pointer.revision, volume)
    if on_volume.current(volume) != pointer.revision:
        on_volume.set_current(volume, pointer.revision)
    return pointer.revision


def _current(volume: Path, storage: Storage) -> str:
    try:
        revision = sightline_bootstrap.current(volume)
    except SnapshotError as error:
        raise CodeError(str(error)) from error
    if revision is None:
        raise CodeError(
            f"no code was published yet: there is no code/CURRENT.json in {storage.uri} and no CURRENT in {volume}; "
            "publish the code (publish-code), or run with code_rev=image"
        )
    if not sightline_bootstrap.touch(volume, revision):
        raise CodeError(
            f"{volume}/CURRENT points to the code snapshot {revision}, which does not exist; publish the code again "
            "(publish-code), or run with code_rev=image"
        )
    return revision


def _only(beginning: str, storage: Storage) -> str:
    found = revisions_in_bucket(storage, beginning)
    if len(found) == 1:
        return found[0]
    several = f"{len(found)} snapshots of {storage.uri}: {', '.join(found)}; give more digits"
    none = f"no code snapshot on the volume or in {storage.uri}; publish that code, or use another revision"
    raise CodeError(f"{beginning} matches {several if found else none}")
