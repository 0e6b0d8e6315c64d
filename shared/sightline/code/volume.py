"""Snapshots on a volume: each is a folder that appears atomically and is never modified.

No locks are used, because network file systems may not support them.  Instead, after each rename a publisher or remover
checks the relevant state again, and reverts or repeats its change if another process interfered.
"""

from __future__ import annotations

import errno
import secrets
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import sightline_bootstrap
from sightline.code.snapshot import MANIFEST, Manifest, Published, Snapshot
from sightline.documents import DocumentError
from sightline.errors import CodeError, SightlineError
from sightline.files import sync, sync_folder
from sightline_bootstrap import MANIFEST as MANIFEST_FILE
from sightline_bootstrap import SOURCE, SnapshotError

_SYNCED_AT_ONCE = 8
_ATTEMPTS = 10


def publish_to_volume(snapshot: Snapshot, volume: Path, *, make_current: bool = True) -> Published:
    """Publish a snapshot to a volume, and make it the current one; existing identical code is left unchanged.

    If it is killed at any point, only temporary files are left, which gc removes; calling it again completes the work.

    Args:
        snapshot: The snapshot to publish.
        volume: The folder that is mounted in pods as ``$SIGHTLINE_CODE``.
        make_current: Whether to update CURRENT.

    Raises:
        CodeError: The volume is not writable.
    """
    folder = volume / "snapshots" / snapshot.revision
    with explained(f"publish to {volume}"):
        new = False
        for _ in range(_ATTEMPTS):
            if not is_valid(volume, snapshot.revision):
                _place(snapshot, folder)
                new = True
            moved = make_current and current(volume) != snapshot.revision
            if moved:
                set_current(volume, snapshot.revision)
            if sightline_bootstrap.touch(volume, snapshot.revision):
                return Published(read_manifest(folder), str(folder), new, moved)
    raise CodeError(f"{folder} keeps being removed by another process; find that process, then publish again")


def current(volume: Path) -> str | None:
    """The revision in CURRENT of a volume; None if CURRENT is missing or damaged."""
    with suppress(SnapshotError):
        return sightline_bootstrap.current(volume)
    return None


def set_current(volume: Path, revision: str) -> None:
    """Replace CURRENT atomically."""
    part = volume / f".CURRENT.{secrets.token_hex(8)}.part"
    with explained(f"write {volume}/CURRENT"):
        with part.open("xb") as stream:
            stream.write(f"{revision}\n".encode())
            sync(stream)
        part.replace(volume / "CURRENT")
        sync_folder(volume)


def is_valid(volume: Path, revision: str) -> bool:
    """Whether a volume has an intact copy of a snapshot."""
    try:
        sightline_bootstrap.verify(volume, revision)
    except SnapshotError:
        return False
    return True


def read_manifest(folder: Path) -> Manifest:
    """The metadata of a snapshot on a volume.

    Raises:
        CodeError: Its manifest is damaged.
    """
    try:
        return MANIFEST.decode((folder / MANIFEST_FILE).read_bytes())
    except DocumentError as error:
        remedy = error.remedy(f"remove {folder} and publish again")
        raise CodeError(f"{folder / MANIFEST_FILE} cannot be read: {error}; {remedy}") from error


def remove_snapshot(volume: Path, revision: str, still: Callable[[Path], bool]) -> bool:
    """Remove a snapshot, unless it has come into use in the meantime.

    Args:
        volume: The volume.
        revision: The revision to remove.
        still: Called with the folder after it was renamed; decides whether it is still to be removed.

    Returns:
        Whether it was removed.
    """
    folder = volume / "snapshots" / revision
    aside = _aside(folder)
    with explained(f"remove {folder}"):
        folder.rename(aside)
        if not still(aside) and not folder.exists():
            aside.rename(folder)
            return False
        remove_folder(aside)
    return True


def remove_folder(folder: Path) -> None:
    """Remove a file, or a folder with its contents, including write-protected files."""
    if not folder.is_dir():
        folder.unlink()
        return
    for path in [folder, *(entry for entry in folder.rglob("*") if entry.is_dir() and not entry.is_symlink())]:
        with suppress(FileNotFoundError):
            path.chmod(0o755)
    shutil.rmtree(folder)


@contextmanager
def explained(doing: str) -> Iterator[None]:
    """Convert an OS error to an error with the path and the next step."""
    try:
        yield
    except SightlineError:
        raise
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise CodeError(
            f"cannot {doing}: {error.strerror or error}{where}; free some space, or give this user write permission, "
            "then run the same command again"
        ) from error


def _place(snapshot: Snapshot, folder: Path) -> None:
    """Write a snapshot under a temporary name and rename it; an existing damaged snapshot is moved away."""
    part = _aside(folder)
    try:
        _write(snapshot, part)
        while not _renamed(part, folder):
            if is_valid(folder.parents[1], snapshot.revision):
                return  # another publisher was first
            damaged = _aside(folder)
            with suppress(FileNotFoundError):
                folder.rename(damaged)
                remove_folder(damaged)
        sync_folder(folder.parent)
    finally:
        if part.exists():
            remove_folder(part)


def _renamed(part: Path, folder: Path) -> bool:
    """Rename a folder; False if the target exists."""
    try:
        part.rename(folder)
    except OSError as error:
        if error.errno in {errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR}:
            return False
        raise
    return True


def _write(snapshot: Snapshot, part: Path) -> None:
    """Write all files, then the manifest; at the end everything is synced to disk and read-only."""
    contents = {part / SOURCE / name: content.encode() for name, content in snapshot.contents.items()}
    folders = sorted({folder for path in contents for folder in path.parents if folder.is_relative_to(part)})
    part.parent.mkdir(parents=True, exist_ok=True)
    for folder in folders:
        folder.mkdir()
    with ThreadPoolExecutor(_SYNCED_AT_ONCE) as pool:
        list(pool.map(_write_file, contents.keys(), contents.values()))
    _write_file(part / MANIFEST_FILE, snapshot.manifest.to_json())
    for folder in reversed(folders):
        sync_folder(folder)
        folder.chmod(0o555)


def _write_file(path: Path, content: bytes) -> None:
    with path.open("xb") as stream:
        stream.write(content)
        sync(stream)
    path.chmod(0o444)


def _aside(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.{secrets.token_hex(8)}.part")
