"""The images of a version prepared for the database: checked, and sorted by key, with little memory.

A table clustered by its key is written fastest in key order, and a failed transaction is repeated; so the rows must be
sorted and iterable several times, even for a million images.  They are distributed to buckets by the first byte of the
key; a bucket is small enough to be sorted in memory.  Full buckets are moved to a temporary file.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import IO, Self

from sightline.database.records import ImageRecord
from sightline.database.schema.checks import check_key, text_limits
from sightline.database.schema.tables import IMAGES
from sightline.errors import DatabaseError

Row = tuple[str, str, str, str, int, int, int, str]
COLUMNS = ("path_sha256", "path", "split", "sha256", "size_bytes", "width", "height", "group_name")

BLOCK_ROWS = 512
"""Rows per bucket that stay in memory: 131,072 in total, about 60 MB."""

_BUCKETS = 256
_MAX_SIZE = 2**63 - 1
_MAX_PIXELS = 2**31 - 1


class ImageRows:
    """Rows of the table ``images``, without the version, in key order; can be iterated repeatedly.

    Args:
        tag: The version's tag, for messages.
        images: Read once.

    Attributes:
        number: Number of images.
        splits: Number of images by split.

    Raises:
        DatabaseError: A value that the table cannot store exactly; no space for the temporary file; or, while
            iterating, a duplicate path.
    """

    def __init__(self, tag: str, images: Iterable[ImageRecord]) -> None:
        self.number = 0
        self.splits: Counter[str] = Counter()
        self._tag = tag
        self._limits = text_limits(IMAGES)
        self._short: tuple[str, str] | None = None
        self._buckets: list[list[Row]] = [[] for _ in range(_BUCKETS)]
        self._blocks: list[list[tuple[int, int]]] = [[] for _ in range(_BUCKETS)]
        self._file: IO[bytes] | None = None
        try:
            for image in images:
                self._add(image)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove the temporary file."""
        if self._file is not None:
            with contextlib.suppress(OSError):  # closing may fail on a full disk, but the data is discarded anyway
                self._file.close()

    def __iter__(self) -> Iterator[Row]:
        for bucket in range(_BUCKETS):
            rows = self._bucket(bucket)
            rows.sort()
            for before, row in itertools.pairwise(rows):
                if before[0] == row[0]:
                    raise DatabaseError(
                        f"cannot register {self._tag}: image {row[1]} is listed twice; list each path once"
                    )
            yield from rows

    def _add(self, image: ImageRecord) -> None:
        self._check(image)
        digest = hashlib.sha256(image.path.encode()).digest()
        bucket = self._buckets[digest[0]]
        bucket.append(
            (
                digest.hex(),
                image.path,
                image.split,
                image.sha256,
                image.size_bytes,
                image.width,
                image.height,
                image.group,
            )
        )
        self.number += 1
        self.splits[image.split] += 1
        if len(bucket) == BLOCK_ROWS:
            self._move(digest[0])

    def _check(self, image: ImageRecord) -> None:
        check_key("images.path", image.path, self._limits["path"])
        check_key("images.sha256", image.sha256, self._limits["sha256"])
        if (image.split, image.group) != self._short:
            check_key("images.split", image.split, self._limits["split"])
            check_key("images.group", image.group, self._limits["group_name"])
            self._short = (image.split, image.group)
        for value in (image.size_bytes, image.width, image.height):
            if not (isinstance(value, int) and 0 <= value <= _MAX_PIXELS):
                self._check_numbers(image)

    def _check_numbers(self, image: ImageRecord) -> None:
        for name, limit in (("size_bytes", _MAX_SIZE), ("width", _MAX_PIXELS), ("height", _MAX_PIXELS)):
            value = getattr(image, name)
            if not (isinstance(value, int) and 0 <= value <= limit):
                raise DatabaseError(f"images.{name} of {image.path}: {value!r} is not a whole number from 0 to {limit}")

    def _move(self, bucket: int) -> None:
        """Move the rows of a bucket to the file, separated by NUL, which :func:`check_key` does not allow in texts."""
        data = "\0".join("\0".join(map(str, row)) for row in self._buckets[bucket]).encode()
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="sightline-images-")  # noqa: SIM115  (closed by close)
            start = self._file.tell()
            self._file.write(data)
            self._file.flush()
        except OSError as error:
            raise DatabaseError(
                f"cannot register {self._tag}: no space for a list of its images in {tempfile.gettempdir()}: "
                f"{error.strerror}; free some space, or set TMPDIR to a folder with enough space"
            ) from error
        self._blocks[bucket].append((start, len(data)))
        self._buckets[bucket].clear()

    def _bucket(self, bucket: int) -> list[Row]:
        rows = list(self._buckets[bucket])
        for start, length in self._blocks[bucket]:
            assert self._file is not None  # noqa: S101
            self._file.seek(start)
            fields = self._file.read(length).decode().split("\0")
            columns = [fields[column :: len(COLUMNS)] for column in range(len(COLUMNS))]
            rows.extend(
                zip(
                    *columns[:4],
                    map(int, columns[4]),
                    map(int, columns[5]),
                    map(int, columns[6]),
                    columns[7],
                    strict=True,
                )
            )
        return rows
