"""Decoded images on disk, for images whose decoding takes longer than reading them, and for later trainings."""

from __future__ import annotations

import logging
import mmap
import struct
import zlib
from pathlib import Path

from PIL import Image

from sightline.files import temporary_file

_log = logging.getLogger(__name__)

_CHECKSUM = struct.Struct("<I")
_COUNT = struct.Struct("<q")


class DiskCache:
    """RGB images by digest and size, below one folder, within a limit.

    A file is complete or missing: it is renamed into its place, and has a checksum, because a power cut may lose its
    contents after that.  A file that cannot be used is written again; a full disk only means that nothing is added.

    Args:
        folder: The folder; several trainings may use it at the same time.
        limit_bytes: Limit for all files in it, roughly: each process counts what it adds itself.
    """

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self._folder = folder
        self._used = mmap.mmap(-1, _COUNT.size)  # shared with forked workers
        used = sum(path.stat().st_size for path in folder.glob("*/*.rgb")) if folder.is_dir() else 0
        self._left = limit_bytes - used
        self._count(0)

    def __reduce__(self) -> tuple[type[DiskCache], tuple[Path, int]]:
        return type(self), (self._folder, self._left)

    def get(self, sha256: str, width: int, height: int) -> Image.Image | None:
        """The image; None if it is not in the cache, or damaged."""
        try:
            content = self._path(sha256, width, height).read_bytes()
        except OSError:
            return None
        pixels = memoryview(content)[_CHECKSUM.size :]
        if len(pixels) != 3 * width * height or _CHECKSUM.unpack_from(content)[0] != zlib.crc32(pixels):
            return None
        return Image.frombytes("RGB", (width, height), pixels)

    def add(self, sha256: str, image: Image.Image) -> None:
        """Add an image, unless the limit is reached or the disk is full."""
        pixels = image.tobytes()
        if _COUNT.unpack(self._used[:])[0] + len(pixels) > self._left:
            return
        path = self._path(sha256, *image.size)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with temporary_file(path.parent, f".{path.name}.") as (part, stream):
                stream.write(_CHECKSUM.pack(zlib.crc32(pixels)) + pixels)
                stream.flush()
                part.replace(path)
        except OSError as error:
            _log.warning("no more images are added to the cache %s: %s", self._folder, error.strerror or error)
            self._left = 0
            return
        self._count(len(pixels))

    def _count(self, added: int) -> None:
        self._used[:] = _COUNT.pack(_COUNT.unpack(self._used[:])[0] + added)

    def _path(self, sha256: str, width: int, height: int) -> Path:
        return self._folder / sha256[:2] / f"{sha256}-{width}x{height}.rgb"
