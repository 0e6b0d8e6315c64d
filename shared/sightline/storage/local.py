"""A folder as a result bucket, safe for concurrent processes and after kills.

An object is a plain file below the folder.  Its metadata are stored with the file, so that they can never be out of
sync: the CRC-32C at the time of writing is an extended attribute, and the generation is the modification time in
nanoseconds, which every write increases.  Both are set on a temporary file before it is renamed to its final path.
``<root>/.sightline/`` contains the temporary files and a lock, under which a generation is compared and the object
replaced.

A file that was added manually has no recorded checksum and is not verified; the same applies to all files on a file
system without extended attributes.  The lock is advisory (``flock``), so the folder must not be on a network file
system without lock support.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import fcntl
import io
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Self

import google_crc32c

from sightline.errors import DamagedObjectError, ObjectNotFoundError, StorageError
from sightline.files import make_folders, sync, sync_folder, temporary_file
from sightline.logs import Progress
from sightline.storage.base import FRESH_SECONDS, Storage, moved_error
from sightline.storage.files import NO_FILE, explained
from sightline.storage.keys import RESERVED_PART, validate_key, validate_prefix
from sightline.storage.object_info import ObjectInfo
from sightline.storage.transfer import Sink
from sightline.storage.uris import path_of

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer

CHUNK_BYTES = 1 << 20
JOBS = 4
STALE_SECONDS = 24 * 3600.0
"""A temporary file that was not modified for this long was left by a killed process."""

_ATTRIBUTE = "user.sightline.crc32c"
_NO_ATTRIBUTES = {errno.ENOTSUP, errno.EPERM, errno.ENOSYS}


class LocalStorage(Storage):
    """Objects as files below a folder, which is created by the first write.

    Args:
        root: The folder.

    Raises:
        StorageError: The path exists and is not a folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root.expanduser().absolute()
        self._hidden = self._root / RESERVED_PART
        self.uri = self._root.as_uri()
        self.jobs = JOBS
        with explained("open", self._root):
            if self._root.exists() and not self._root.is_dir():
                raise StorageError(
                    f"{self._root} is not a folder and cannot hold a bucket; set storage.uri to a folder"
                )

    @classmethod
    def from_uri(cls, uri: str) -> Self:
        """The bucket at a ``file://`` URI or a path."""
        return cls(path_of(uri))

    def uri_of(self, key: str) -> str:
        """The full URI of ``key``, with special characters quoted as in file URIs."""
        return (self._root / key).as_uri()

    def stat(self, key: str) -> ObjectInfo | None:
        """See :meth:`Storage.stat`; the checksum is computed if it was not recorded."""
        path = self._path(key)
        with explained("read", path):
            return self._stat(key, path)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """See :meth:`Storage.list`."""
        for key in self.names(prefix):
            info = self.stat(key)
            if info is not None:
                yield info

    def names(self, prefix: str = "") -> Iterator[str]:
        """See :meth:`Storage.names`."""
        validate_prefix(prefix)
        with explained("list", self._root / prefix):
            keys = sorted(key for key in self._keys(prefix.rpartition("/")[0]) if key.startswith(prefix))
        yield from keys

    def read(self, key: str, sink: Sink, progress: Progress | None = None) -> ObjectInfo:
        """See :meth:`Storage.read`; the open file is read completely even if the object is replaced meanwhile."""
        path = self._path(key)
        with sink() as target, self._opened(key, path) as source:
            checksum = _copy(source, target, path, progress)
            return self._verified(key, source, checksum)

    def write_bytes(self, key: str, data: bytes, *, if_generation: int | None = None) -> ObjectInfo:
        """See :meth:`Storage.write_bytes`."""
        return self._write(key, io.BytesIO(data), self._root / key, if_generation, None)

    def upload(
        self, path: Path, key: str, *, if_generation: int | None = None, progress: Progress | None = None
    ) -> ObjectInfo:
        """See :meth:`Storage.upload`."""
        with explained("read", path):
            source = path.open("rb")
        with source:
            return self._write(key, source, path, if_generation, progress)

    def delete(self, key: str, *, if_generation: int | None = None) -> None:
        """See :meth:`Storage.delete`; empty folders are removed together with the object."""
        path = self._path(key)
        with explained("delete", path):
            if self._present(path) == 0:
                return
            with self._locked():
                present = self._present(path)
                if present == 0:
                    return
                if if_generation not in {None, present}:
                    raise moved_error(self.uri_of(key), if_generation, present)
                path.unlink()
                for folder in path.parents:
                    if folder == self._root or any(folder.iterdir()):
                        sync_folder(folder)
                        break
                    folder.rmdir()

    def _write(
        self, key: str, source: BinaryIO, origin: Path, if_generation: int | None, progress: Progress | None
    ) -> ObjectInfo:
        path = self._path(key)
        with explained("write", path):
            temporary_files = self._hidden / "tmp"
            temporary_files.mkdir(parents=True, exist_ok=True)
            _sweep(temporary_files)
            with temporary_file(temporary_files, "") as (part, stream):
                checksum = _copy(source, stream, origin, progress)
                _record(stream, checksum)
                stream.flush()
                os.utime(part, ns=(time.time_ns(), time.time_ns()))
                sync(stream)
                with self._locked():
                    present = self._present(path)
                    if if_generation not in {None, present}:
                        return self._same_or_moved(key, stream.tell(), checksum, if_generation, present)
                    if part.stat().st_mtime_ns <= present:
                        os.utime(part, ns=(present + 1, present + 1))
                        sync(stream)
                    make_folders(path.parent)
                    part.replace(path)
                    sync_folder(path.parent)
                    return _info(key, checksum, path.stat())

    def _same_or_moved(self, key: str, size: int, checksum: str, if_generation: int | None, present: int) -> ObjectInfo:
        """The existing object, if it contains exactly the bytes that should be written."""
        if present:
            info = self.read(key, _Nowhere)
            if (info.size, info.crc32c) == (size, checksum):
                return self._renewed(info) if if_generation == 0 else info
        raise moved_error(self.uri_of(key), if_generation, present)

    def _renewed(self, info: ObjectInfo) -> ObjectInfo:
        """A reused object, with a new generation if it is old; requires the lock of the bucket."""
        path = self._path(info.key)
        if time.time_ns() - info.generation > FRESH_SECONDS * 1e9:
            os.utime(path)
        return _info(info.key, info.crc32c, path.stat())

    @contextlib.contextmanager
    def _opened(self, key: str, path: Path) -> Iterator[BinaryIO]:
        with explained("read", path):
            try:
                source = path.open("rb")
            except NO_FILE as error:
                raise ObjectNotFoundError(
                    f"there is no object {self.uri_of(key)}; check the URI, or run the step that writes it"
                ) from error
        with source:
            yield source

    def _verified(self, key: str, source: BinaryIO, checksum: str) -> ObjectInfo:
        path = self._path(key)
        with explained("read", path):
            recorded, status = _recorded(source), os.fstat(source.fileno())
        if recorded not in {None, checksum}:
            raise DamagedObjectError(
                f"{path} is damaged: its CRC-32C is {checksum}, but {recorded} was recorded when it was written; "
                "delete it and run the step that writes it again"
            )
        return _info(key, checksum, status)

    def _stat(self, key: str, path: Path) -> ObjectInfo | None:
        try:
            with path.open("rb") as source:
                checksum = _recorded(source) or _copy(source, _Nowhere(), path, None)
                status = os.fstat(source.fileno())
        except NO_FILE:
            return None
        return _info(key, checksum, status)

    def _present(self, path: Path) -> int:
        """The current generation, 0 if there is no object."""
        try:
            return _generation(path.stat()) if path.is_file() else 0
        except FileNotFoundError:
            return 0

    def _path(self, key: str) -> Path:
        return self._root / validate_key(key)

    def _keys(self, folder: str) -> Iterator[str]:
        def refuse(error: OSError) -> None:
            if not isinstance(error, NO_FILE):
                raise error

        for parent, folders, names in os.walk(self._root / folder, onerror=refuse):
            below = Path(parent).relative_to(self._root)
            if below == Path() and RESERVED_PART in folders:
                folders.remove(RESERVED_PART)
            yield from ((below / name).as_posix() for name in names)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the bucket's lock; it is released automatically when the process ends."""
        self._hidden.mkdir(parents=True, exist_ok=True)
        with (self._hidden / "lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


class _Nowhere(io.BytesIO):
    """Discards all bytes: for reading a file only to compute its checksum."""

    def write(self, data: Buffer, /) -> int:
        return len(memoryview(data))


def _sweep(folder: Path) -> None:
    """Remove leftovers of killed processes."""
    for path in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > STALE_SECONDS:
                path.unlink()


def _copy(source: BinaryIO, target: BinaryIO, origin: Path, progress: Progress | None) -> str:
    """Copy the remaining bytes of ``source``; returns their checksum."""
    checksum = 0
    while chunk := _chunk(source, origin):
        checksum = google_crc32c.extend(checksum, chunk)
        target.write(chunk)
        if progress:
            progress.advance(len(chunk))
    return base64.b64encode(checksum.to_bytes(4, "big")).decode()


def _chunk(source: BinaryIO, origin: Path) -> bytes:
    """The next bytes of a file; distinguishes read errors from write errors."""
    with explained("read", origin):
        return source.read(CHUNK_BYTES)


def _record(stream: BinaryIO, checksum: str) -> None:
    if not hasattr(os, "setxattr"):
        return
    try:
        os.setxattr(stream.fileno(), _ATTRIBUTE, checksum.encode())
    except OSError as error:
        if error.errno not in _NO_ATTRIBUTES:
            raise


def _recorded(stream: BinaryIO) -> str | None:
    """The recorded checksum; None for a file that was added manually, or if the file system cannot record it."""
    if not hasattr(os, "getxattr"):
        return None
    try:
        return os.getxattr(stream.fileno(), _ATTRIBUTE).decode()
    except OSError as error:
        if error.errno in {*_NO_ATTRIBUTES, errno.ENODATA}:
            return None
        raise


def _info(key: str, checksum: str, status: os.stat_result) -> ObjectInfo:
    updated = datetime.fromtimestamp(status.st_mtime, UTC)
    return ObjectInfo(key, status.st_size, checksum, _generation(status), updated)


def _generation(status: os.stat_result) -> int:
    """The modification time in nanoseconds; at least 1, because files from archives may have 0, "does not exist"."""
    return max(status.st_mtime_ns, 1)
