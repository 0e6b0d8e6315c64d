"""A folder as a result bucket, safe among processes and against kills.

An object is a plain file below the folder.  What else Sightline knows of it travels with the file, so that no second
file can disagree with it: the CRC-32C from the time of writing is an extended attribute, and the generation is the
modification time in nanoseconds, which every write moves forward.  Both are set on a temporary file before it is
renamed into place.  ``<root>/.sightline/`` holds the temporary files and the lock that makes comparing a generation
and replacing the object one step.

A file that was put there by hand has no recorded checksum and is taken as it is; so are all files on a file system
without extended attributes.  The lock is advisory (``flock``), so the folder must not lie on a network file system that
does not carry locks.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import fcntl
import io
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Self

import google_crc32c

from sightline.errors import ObjectNotFoundError, PreconditionFailedError, StorageError
from sightline.storage.base import ObjectInfo, Storage
from sightline.storage.keys import RESERVED_PART, validate_key, validate_prefix
from sightline.storage.uris import path_of

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer

CHUNK_BYTES = 1 << 20
STALE_SECONDS = 24 * 3600.0
"""A temporary file that nobody has written to for so long was left by a killed process."""

_ATTRIBUTE = "user.sightline.crc32c"
_NO_ATTRIBUTES = {errno.ENOTSUP, errno.EPERM, errno.ENOSYS}
_NO_OBJECT = (FileNotFoundError, NotADirectoryError, IsADirectoryError)
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


class LocalStorage(Storage):
    """Objects as files below a folder, which is created at the first write.

    Args:
        root: The folder.

    Raises:
        StorageError: There is something else at that place.
    """

    def __init__(self, root: Path) -> None:
        self._root = root.expanduser().absolute()
        self._hidden = self._root / RESERVED_PART
        self.uri = self._root.as_uri()
        with _explained("open", self._root):
            if self._root.exists() and not self._root.is_dir():
                raise StorageError(
                    f"{self._root} is not a folder and cannot hold a bucket; set storage.uri to a folder"
                )

    @classmethod
    def from_uri(cls, uri: str) -> Self:
        """The bucket at a ``file://`` URI or a path."""
        return cls(path_of(uri))

    def uri_of(self, key: str) -> str:
        """The full URI of ``key``, with special characters quoted as file URIs have them."""
        return (self._root / key).as_uri()

    def stat(self, key: str) -> ObjectInfo | None:
        """See :meth:`Storage.stat`; a file without a recorded checksum is read for it."""
        path = self._path(key)
        with _explained("read", path):
            return self._stat(key, path)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """See :meth:`Storage.list`."""
        validate_prefix(prefix)
        with _explained("list", self._root / prefix):
            keys = sorted(key for key in self._keys(prefix.rpartition("/")[0]) if key.startswith(prefix))
        for key in keys:
            info = self.stat(key)
            if info is not None:
                yield info

    def read_bytes(self, key: str) -> tuple[bytes, ObjectInfo]:
        """See :meth:`Storage.read_bytes`."""
        buffer = io.BytesIO()
        info = self._read(key, buffer)
        return buffer.getvalue(), info

    def download(self, key: str, path: Path) -> ObjectInfo:
        """See :meth:`Storage.download`."""
        with _explained("write", path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with _temporary(path.parent, f".{path.name[:64]}.") as (part, stream):
                info = self._read(key, stream)
                _sync(stream)
                part.replace(path)
            _sync_folder(path.parent)
        return info

    def write_bytes(self, key: str, data: bytes, *, if_generation: int | None = None) -> ObjectInfo:
        """See :meth:`Storage.write_bytes`."""
        return self._write(key, io.BytesIO(data), if_generation)

    def upload(self, path: Path, key: str, *, if_generation: int | None = None) -> ObjectInfo:
        """See :meth:`Storage.upload`."""
        with _explained("read", path), path.open("rb") as source:
            return self._write(key, source, if_generation)

    def delete(self, key: str, *, if_generation: int | None = None) -> None:
        """See :meth:`Storage.delete`; folders that become empty go with the object."""
        path = self._path(key)
        with _explained("delete", path):
            if self._present(path) == 0:
                return
            with self._locked():
                present = self._present(path)
                if present == 0:
                    return
                if if_generation not in {None, present}:
                    raise self._moved(key, if_generation, present)
                path.unlink()
                for folder in path.parents:
                    if folder == self._root or any(folder.iterdir()):
                        _sync_folder(folder)
                        break
                    folder.rmdir()

    def _write(self, key: str, source: BinaryIO, if_generation: int | None) -> ObjectInfo:
        path = self._path(key)
        with _explained("write", path):
            temporary_files = self._hidden / "tmp"
            temporary_files.mkdir(parents=True, exist_ok=True)
            _sweep(temporary_files)
            with _temporary(temporary_files, "") as (part, stream):
                checksum = _copy(source, stream)
                _record(stream, checksum)
                stream.flush()
                os.utime(part, ns=(time.time_ns(), time.time_ns()))
                _sync(stream)
                with self._locked():
                    present = self._present(path)
                    if if_generation not in {None, present}:
                        return self._same_or_moved(key, stream.tell(), checksum, if_generation, present)
                    if part.stat().st_mtime_ns <= present:
                        os.utime(part, ns=(present + 1, present + 1))
                        _sync(stream)
                    _make_folders(path.parent)
                    part.replace(path)
                    _sync_folder(path.parent)
                    return ObjectInfo(key, stream.tell(), checksum, self._present(path))

    def _same_or_moved(self, key: str, size: int, checksum: str, if_generation: int | None, present: int) -> ObjectInfo:
        """The object that is there, if it holds the very bytes that should have been written."""
        if present:
            info = self._read(key, _Nowhere())
            if (info.size, info.crc32c) == (size, checksum):
                return info
        raise self._moved(key, if_generation, present)

    def _moved(self, key: str, if_generation: int | None, present: int) -> PreconditionFailedError:
        state = f"is at generation {present}" if present else "does not exist"
        expected = f"at generation {if_generation}" if if_generation else "not to exist"
        return PreconditionFailedError(
            f"{self.uri_of(key)} {state}, but was expected {expected}: another process was first; "
            "read the object again and decide anew"
        )

    def _read(self, key: str, target: BinaryIO) -> ObjectInfo:
        """Copy an object to ``target``, verified; the open file stays the same one even if the object is replaced."""
        path = self._path(key)
        with _explained("read", path):
            try:
                source = path.open("rb")
            except _NO_OBJECT as error:
                raise ObjectNotFoundError(
                    f"there is no object {self.uri_of(key)}; check the URI, or run the step that writes it"
                ) from error
            with source:
                checksum = _copy(source, target)
                recorded = _recorded(source)
                status = os.fstat(source.fileno())
        if recorded not in {None, checksum}:
            raise StorageError(
                f"{path} is damaged: its CRC-32C is {checksum}, but {recorded} was recorded when it was written; "
                "delete it and run the step that writes it again"
            )
        return ObjectInfo(key, status.st_size, checksum, _generation(status))

    def _stat(self, key: str, path: Path) -> ObjectInfo | None:
        try:
            with path.open("rb") as source:
                checksum = _recorded(source) or _copy(source, _Nowhere())
                status = os.fstat(source.fileno())
        except _NO_OBJECT:
            return None
        return ObjectInfo(key, status.st_size, checksum, _generation(status))

    def _present(self, path: Path) -> int:
        """The generation of what is there now, 0 for nothing."""
        try:
            return _generation(path.stat()) if path.is_file() else 0
        except FileNotFoundError:
            return 0

    def _path(self, key: str) -> Path:
        return self._root / validate_key(key)

    def _keys(self, folder: str) -> Iterator[str]:
        def refuse(error: OSError) -> None:
            if not isinstance(error, _NO_OBJECT):
                raise error

        for parent, folders, names in os.walk(self._root / folder, onerror=refuse):
            below = Path(parent).relative_to(self._root)
            if below == Path() and RESERVED_PART in folders:
                folders.remove(RESERVED_PART)
            yield from ((below / name).as_posix() for name in names)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the bucket's lock; it frees itself when the process dies."""
        self._hidden.mkdir(parents=True, exist_ok=True)
        with (self._hidden / "lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


class _Nowhere(io.BytesIO):
    """Takes bytes and forgets them: for reading a file for its checksum alone."""

    def write(self, data: Buffer, /) -> int:
        return len(memoryview(data))


@contextlib.contextmanager
def _explained(action: str, path: Path) -> Iterator[None]:
    """Turn what the operating system says into an error with the place and the next step."""
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        hint = _HINTS.get(error.errno or 0, "check the disk and the path")
        raise StorageError(f"cannot {action} {path}: {error.strerror or error}; {hint}") from error


@contextlib.contextmanager
def _temporary(folder: Path, prefix: str) -> Iterator[tuple[Path, BinaryIO]]:
    """A new file, removed at the end unless it was renamed."""
    path = folder / f"{prefix}{secrets.token_hex(8)}.part"
    stream = path.open("xb")
    try:
        with stream:
            yield path, stream
    finally:
        path.unlink(missing_ok=True)


def _sweep(folder: Path) -> None:
    """Remove what killed processes left."""
    for path in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > STALE_SECONDS:
                path.unlink()


def _copy(source: BinaryIO, target: BinaryIO) -> str:
    """Copy what is left of ``source``; the checksum is that of the bytes that were copied."""
    checksum = 0
    while chunk := source.read(CHUNK_BYTES):
        checksum = google_crc32c.extend(checksum, chunk)
        target.write(chunk)
    return base64.b64encode(checksum.to_bytes(4, "big")).decode()


def _record(stream: BinaryIO, checksum: str) -> None:
    if not hasattr(os, "setxattr"):
        return
    try:
        os.setxattr(stream.fileno(), _ATTRIBUTE, checksum.encode())
    except OSError as error:
        if error.errno not in _NO_ATTRIBUTES:
            raise


def _recorded(stream: BinaryIO) -> str | None:
    """The checksum from the time of writing; None for a file put there by hand, or where nothing can be recorded."""
    if not hasattr(os, "getxattr"):
        return None
    try:
        return os.getxattr(stream.fileno(), _ATTRIBUTE).decode()
    except OSError as error:
        if error.errno in {*_NO_ATTRIBUTES, errno.ENODATA}:
            return None
        raise


def _generation(status: os.stat_result) -> int:
    """The modification time in nanoseconds; an unpacked archive may have 0, which stands for "does not exist"."""
    return max(status.st_mtime_ns, 1)


def _sync(stream: BinaryIO) -> None:
    stream.flush()
    os.fsync(stream.fileno())


def _sync_folder(folder: Path) -> None:
    """Make the names in a folder outlive a power failure."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make_folders(folder: Path) -> None:
    if folder.is_dir():
        return
    _make_folders(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync_folder(folder.parent)
