"""DVC's cache on the work volume: objects as read-only files, shared by every process that uses the volume."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sightline.data.dvc.manifest import Manifest, parse_manifest
from sightline.data.dvc.objects import DamagedObjectError, file_md5, object_key
from sightline.data.git.commands import explain_os_errors
from sightline.errors import RepositoryError
from sightline.lock import exclusive_lock

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

PROTECTED = 0o444
"""The mode by which DVC knows an object whose contents were compared with its name."""


_NO_RANGES = {errno.EXDEV, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EPERM}


@dataclass(frozen=True, slots=True)
class Cache:
    """Objects below a folder, where DVC looks for them.

    An object appears under its name whole or not at all: it is written under a temporary name and renamed.  Whoever
    writes the same object at the same time writes the same bytes.  After a power failure an object may be empty or
    torn, so whoever reads one compares it with its name.

    Attributes:
        root: The folder.
    """

    root: Path

    def path_of(self, md5: str) -> Path:
        """Where the object lies."""
        return self.root / object_key(md5)

    def lacking(self, manifest: Manifest) -> set[str]:
        """The objects of the files of ``manifest`` that are not there."""
        return {md5 for md5 in set(manifest.values()) if not self.path_of(md5).is_file()}

    def manifest(self, md5: str, what: str) -> Manifest | None:
        """The manifest of a folder; None if it is missing or damaged."""
        try:
            data = self.path_of(md5).read_bytes()
        except FileNotFoundError:
            return None
        if hashlib.md5(data, usedforsecurity=False).hexdigest() != md5.removesuffix(".dir"):
            return None
        return parse_manifest(data, what)

    @contextmanager
    def temporary_folder(self) -> Iterator[Path]:
        """A folder for partial objects; leftovers of killed processes are removed.

        The cache may be shared by several work volumes, so the lock that says who is alive lies beside the folder.
        """
        parts, name = self.root / "tmp", secrets.token_hex(8)
        locks = parts / ".locks"
        for part in parts.glob("*.part"):
            with suppress(RepositoryError), exclusive_lock(locks / part.stem, 0.0):
                shutil.rmtree(part, ignore_errors=True)
                (locks / part.stem).unlink(missing_ok=True)  # no second process will ever want this name
        with exclusive_lock(locks / name, 0.0):
            folder = parts / f"{name}.part"
            folder.mkdir()
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)
                (locks / name).unlink(missing_ok=True)

    def writer(self, md5: str, temporary: Path) -> ObjectWriter:
        """Takes the bytes of an object; left without an exception, it puts the object into the cache.

        Args:
            md5: The object.
            temporary: A file of this writer's own, in the cache's file system.
        """
        return ObjectWriter(self.path_of(md5), md5.removesuffix(".dir"), temporary)

    def forget_damaged(self, md5: str) -> bool:
        """Remove an object with wrong contents; False if it is intact or missing."""
        path = self.path_of(md5)
        with suppress(FileNotFoundError):
            if file_md5(path) != md5.removesuffix(".dir"):
                path.unlink()
                return True
        return False

    def copy(self, md5: str, path: Path) -> None:
        """Make a file of an object; where the file system can, both share their blocks until one is changed.

        Raises:
            FileNotFoundError: The object is not there.
        """
        with (
            self.path_of(md5).open("rb", buffering=0) as source,
            path.open("wb", buffering=0) as target,
            explain_os_errors("copy from the DVC cache", path),
        ):
            try:
                while os.copy_file_range(source.fileno(), target.fileno(), 1 << 30):
                    pass
            except (AttributeError, OSError) as error:  # macOS has no such call, and some file systems refuse it
                if isinstance(error, OSError) and error.errno not in _NO_RANGES:
                    raise
                shutil.copyfileobj(source, target)


class ObjectWriter(io.FileIO):
    """A file that becomes an object of the cache if its bytes match the object's name.

    There is no ``fsync``: an object is compared with its name whenever it is used, so one that a power failure tore is
    found and fetched again, and thousands of small files do not wait for the disk one by one.
    """

    def __init__(self, path: Path, md5: str, temporary: Path) -> None:
        with explain_os_errors("write to the DVC cache"):
            super().__init__(temporary, "w")
        self._path, self._md5, self._temporary = path, md5, temporary
        self._digest = hashlib.md5(usedforsecurity=False)

    def write(self, data: ReadableBuffer, /) -> int:
        """Take the next bytes.

        Raises:
            RepositoryError: The disk is full, or gone.
        """
        view = memoryview(data)
        self._digest.update(view)
        written = 0
        with explain_os_errors("write to the DVC cache", self._temporary):
            while written < len(view):
                written += super().write(view[written:])
        return written

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        """Put the object into the cache, or forget it.

        Raises:
            DamagedObjectError: All bytes came, but they are not those of the object.
        """
        self.close()
        try:
            if kind is not None:
                return
            if self._digest.hexdigest() != self._md5:
                raise DamagedObjectError(f"{self._md5} has the contents of {self._digest.hexdigest()}")
            with explain_os_errors("write to the DVC cache"):
                self._temporary.chmod(PROTECTED)
                try:
                    os.replace(self._temporary, self._path)  # noqa: PTH105
                except FileNotFoundError:
                    self._path.parent.mkdir(parents=True, exist_ok=True)
                    os.replace(self._temporary, self._path)  # noqa: PTH105
        finally:
            self._temporary.unlink(missing_ok=True)
