"""Streams for Google Storage, with progress and checksum."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import BinaryIO

import google_crc32c

from sightline.logs import Progress

READ_BYTES = 1 << 20


class DownloadedBytes:
    """Forwards downloaded bytes, and computes their size and checksum.

    Args:
        target: The destination of the bytes.
        progress: Advanced by the number of bytes.

    Attributes:
        size: Number of bytes received.
    """

    def __init__(self, target: BinaryIO, progress: Progress | None) -> None:
        self._target = target
        self._progress = progress
        self._checksum = 0
        self.size = 0

    def write(self, data: bytes) -> int:
        """Process the next bytes."""
        self._target.write(data)
        self._checksum = google_crc32c.extend(self._checksum, data)
        self.size += len(data)
        if self._progress:
            self._progress.advance(len(data))
        return len(data)

    @property
    def crc32c(self) -> str:
        """Checksum of the bytes received, in the service's encoding."""
        return encoded(self._checksum)

    def forget(self) -> None:
        """Subtract the received bytes from the progress."""
        if self._progress:
            self._progress.advance(-self.size)


class UploadedFile(io.FileIO):
    """A file to upload; counts every byte only once, even if it is read again.

    Args:
        path: The file.
        progress: Advanced by the number of bytes.
    """

    def __init__(self, path: Path, progress: Progress | None) -> None:
        super().__init__(path)
        self._progress = progress
        self._counted = 0

    def read(self, size: int | None = -1, /) -> bytes:
        """Read bytes like any file, and count them."""
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
    """A CRC-32C in the service's encoding: base64 of its four bytes, big-endian."""
    return base64.b64encode(checksum.to_bytes(4, "big")).decode()
