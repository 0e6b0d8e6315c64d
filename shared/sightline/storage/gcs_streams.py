"""Streams to and from Google Storage, with progress and checksum."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import BinaryIO

import google_crc32c

from sightline.logs import Progress

READ_BYTES = 1 << 20


class DownloadedBytes:
    """Passes on downloaded bytes, and measures them.

    Args:
        target: Where they go.
        progress: Advanced by them.

    Attributes:
        size: So many have arrived.
    """

    def __init__(self, target: BinaryIO, progress: Progress | None) -> None:
        self._target = target
        self._progress = progress
        self._checksum = 0
        self.size = 0

    def write(self, data: bytes) -> int:
        """Take the next bytes."""
        self._target.write(data)
        self._checksum = google_crc32c.extend(self._checksum, data)
        self.size += len(data)
        if self._progress:
            self._progress.advance(len(data))
        return len(data)

    @property
    def crc32c(self) -> str:
        """Checksum of what has arrived, as the service writes it."""
        return encoded(self._checksum)

    def forget(self) -> None:
        """Take back what the progress counted."""
        if self._progress:
            self._progress.advance(-self.size)


class UploadedFile(io.FileIO):
    """A file to upload, which counts the bytes read, each only once.

    Args:
        path: The file.
        progress: Advanced by its bytes.
    """

    def __init__(self, path: Path, progress: Progress | None) -> None:
        super().__init__(path)
        self._progress = progress
        self._counted = 0

    def read(self, size: int | None = -1, /) -> bytes:
        """As of any file."""
        data = super().read(-1 if size is None else size) or b""
        if self._progress and self.tell() > self._counted:
            self._progress.advance(self.tell() - self._counted)
            self._counted = self.tell()
        return data


def measured(path: Path) -> tuple[int, str]:
    """Size in bytes and checksum of a file."""
    size = checksum = 0
    with path.open("rb") as stream:
        while chunk := stream.read(READ_BYTES):
            checksum = google_crc32c.extend(checksum, chunk)
            size += len(chunk)
    return size, encoded(checksum)


def encoded(checksum: int) -> str:
    """A CRC-32C as the service writes it: base64 of its four bytes, the highest first."""
    return base64.b64encode(checksum.to_bytes(4, "big")).decode()
