"""The metadata of an object in a bucket."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """The metadata of an object, without its contents.

    Attributes:
        key: POSIX path below the bucket's URI, such as ``evaluation/plates_train_v1/EIR/CURRENT.json``.
        size: Bytes.
        crc32c: Base64 of the big-endian checksum, as Google Storage gives it.
        generation: Changes with every write; 0 means "does not exist".
        updated: Time of the last write, by the clock of the storage; None if unknown.
    """

    key: str
    size: int
    crc32c: str
    generation: int
    updated: datetime | None = field(default=None, compare=False)
