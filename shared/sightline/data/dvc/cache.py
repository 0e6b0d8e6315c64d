"""DVC's cache on the work volume: read-only object files, shared by all processes that use the volume."""

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
"""The mode that tells DVC that the contents of an object were verified."""


_NO_RANGES = {errno.EXDEV, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EPERM}


@dataclass(frozen=True, slots=True)
class Cache:
    """Objects below a folder, in DVC's layout.

    An object is written under a temporary name and renamed, so it is never visible incomplete.  Concurrent writers of
    an object write identical bytes.  After a power failure an object may be empty or torn, so every reader verifies its
    MD5.

    Attributes:
        root: The folder.
    """

    root: Path

    def path_of(self, md5: str) -> Path:
        """The path of an object."""
        return self.root / object_key(md5)

    def lacking(self, manifest: Manifest) -> set[str]:
        """The objects of ``manifest`` that are missing in the cache."""
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

        The cache may be shared by several work volumes, so the lock of the process that uses a folder is next to it.
        """
        parts, name = self.root / "tmp", secrets.token_hex(8)
        locks = parts / ".locks"
        for part in parts.glob("*.part"):
            with suppress(RepositoryError), exclusive_lock(locks / part.stem, 0.0):
                shutil.rmtree(part, ignore_errors=True)
                (locks / part.stem).unlink(missing_ok=True)  # the name is random and never used again
        with exclusive_lock(locks / name, 0.0):
            folder = parts / f"{name}.part"
            folder.mkdir()
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)
                (locks / name).unlink(missing_ok=True)

    def writer(self, md5: str, temporary: Path) -> ObjectWriter:
        """A writer for an object; if the context ends without an exception, the object is added to the cache.

        Args:
            md5: MD5 of the object.
            temporary: A temporary file for this writer only, in the cache's file system.
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
        """Copy an object to a file; if the file system supports it, both share their blocks until one is changed.

        Raises:
            FileNotFoundError: The object is missing.
        """
        with (
            self.path_of(md5).open("rb", buffering=0) as source,
            path.open("wb", buffering=0) as target,
            explain_os_errors("copy from the DVC cache", path),
        ):
            try:
                while os.copy_file_range(source.fileno(), target.fileno(), 1 << 30):
                    pass
            except (AttributeError, OSError) as error:  # not on macOS, and not on all file systems
                if isinstance(error, OSError) and error.errno not in _NO_RANGES:
                    raise
                shutil.copyfileobj(source, target)


class ObjectWriter(io.FileIO):
    """A file that becomes an object of the cache if its contents match the MD5 of the object.

    There is no ``fsync``: an object is verified whenever it is used, so an object torn by a power failure is detected
    and fetched again, and thousands of small files do not wait for the disk one by one.
    """

    def __init__(self, path: Path, md5: str, temporary: Path) -> None:
        with explain_os_errors("write to the DVC cache"):
            super().__init__(temporary, "w")
        self._path, self._md5, self._temporary = path, md5, temporary
        self._digest = hashlib.md5(usedforsecurity=False)

    def write(self, data: ReadableBuffer, /) -> int:
        """Write the next bytes.

        Raises:
            RepositoryError: The disk is full or unavailable.
        """
        view = memoryview(data)
        self._digest.update(view)
        written = 0
        with explain_os_errors("write to the DVC cache", self._temporary):
            while written < len(view):
                written += super().write(view[written:])
        return written

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        """Add the object to the cache, or discard it.

        Raises:
            DamagedObjectError: All bytes were received, but their MD5 differs.
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
