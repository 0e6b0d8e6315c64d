"""Converts errors of the local disk to errors with path and hint."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from sightline.errors import SightlineError, StorageError
from sightline.files import written_whole

NO_FILE = (FileNotFoundError, NotADirectoryError, IsADirectoryError)
_HINTS = {
    errno.ENOSPC: "free some space there, or choose another folder with storage.uri",
    errno.EDQUOT: "the quota is used up: free some space, or choose another folder with storage.uri",
    errno.EACCES: "give this user read and write permission there, or choose another folder with storage.uri",
    errno.EPERM: "give this user read and write permission there, or choose another folder with storage.uri",
    errno.EROFS: "the file system is read-only: choose another folder with storage.uri",
    errno.ENOTDIR: "a part of the path is a file: in a local bucket, a key cannot be a folder of another key",
    errno.EISDIR: "a folder has this name: in a local bucket, a key cannot be a folder of another key",
    errno.EEXIST: "a file has the name of a folder: in a local bucket, a key cannot be a folder of another key",
    errno.ENAMETOOLONG: "shorten it: each part of a key may have at most 255 bytes here",
}


@contextlib.contextmanager
def explained(action: str, path: Path) -> Iterator[None]:
    """Convert an OS error to an error with the path and the next step."""
    try:
        yield
    except SightlineError:
        raise
    except OSError as error:
        hint = _HINTS.get(error.errno or 0, "check the disk and the path")
        raise StorageError(f"cannot {action} {path}: {error.strerror or error}; {hint}") from error


@contextlib.contextmanager
def downloaded(path: Path) -> Iterator[BinaryIO]:
    """A file that is created atomically as ``path`` at the end of the context.

    Raises:
        StorageError: The disk is full, or the folder is not writable.
    """
    with explained("write", path), written_whole(path) as stream:
        yield stream
