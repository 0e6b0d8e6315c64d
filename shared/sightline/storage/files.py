"""Writing files on the local disk so that a reader sees the whole file or none, and a fault has a place and a hint."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from sightline.errors import SightlineError, StorageError

NO_FILE = (FileNotFoundError, NotADirectoryError, IsADirectoryError)
_HINTS = {
    errno.ENOSPC: "free some space there, or choose another folder with storage.uri",
    errno.EDQUOT: "the quota is used up: free some space, or choose another folder with storage.uri",
    errno.EACCES: "give this user the right to read and write there, or choose another folder with storage.uri",
    errno.EPERM: "give this user the right to read and write there, or choose another folder with storage.uri",
    errno.EROFS: "the file system is read-only: choose another folder with storage.uri",
    errno.ENOTDIR: "a part of the path is a file: in a local bucket, no key can begin with another key and a slash",
    errno.EISDIR: "a folder has this name: in a local bucket, no key can begin with another key and a slash",
    errno.EEXIST: "a file has the name of a folder: in a local bucket, no key can begin with another key and a slash",
    errno.ENAMETOOLONG: "shorten it: a part of a key has at most 255 bytes here",
}


@contextlib.contextmanager
def explained(action: str, path: Path) -> Iterator[None]:
    """Turn what the operating system says into an error with the place and the next step."""
    try:
        yield
    except SightlineError:
        raise
    except OSError as error:
        hint = _HINTS.get(error.errno or 0, "check the disk and the path")
        raise StorageError(f"cannot {action} {path}: {error.strerror or error}; {hint}") from error


@contextlib.contextmanager
def temporary_file(folder: Path, prefix: str) -> Iterator[tuple[Path, BinaryIO]]:
    """A new file, removed at the end unless it was renamed."""
    path = folder / f"{prefix}{secrets.token_hex(8)}.part"
    stream = path.open("xb")
    try:
        with stream:
            yield path, stream
    finally:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[BinaryIO]:
    """A hidden ``.part`` file beside ``path``, synced and renamed to it at the end, removed if that is not reached.

    Raises:
        StorageError: The disk is full, the folder cannot be written, and the like.
    """
    with explained("write", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary_file(path.parent, f".{path.name[:64]}.") as (part, stream):
            yield stream
            sync(stream)
            part.replace(path)
        sync_folder(path.parent)


def sync(stream: BinaryIO) -> None:
    """Bring what was written to the disk."""
    stream.flush()
    os.fsync(stream.fileno())


def sync_folder(folder: Path) -> None:
    """Make the names in a folder outlive a power failure."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folders(folder: Path) -> None:
    """Create a folder and its parents so that they outlive a power failure."""
    if folder.is_dir():
        return
    make_folders(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)
