"""The one interface to a result bucket; every back end passes the same contract tests."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What is known of an object without reading it.

    Attributes:
        key: POSIX path below the bucket's URI, such as ``evaluation/plates_train_v1/EIR/CURRENT.json``.
        size: Bytes.
        crc32c: Base64 of the big-endian checksum, as Google Storage gives it.
        generation: Changes at every write; 0 stands for "does not exist".
    """

    key: str
    size: int
    crc32c: str
    generation: int


class Storage(ABC):
    """A flat space of objects under one URI.

    Keys are relative POSIX paths: no ``..``, no leading ``/``, no backslash, no empty part; anything else raises
    :class:`~sightline.errors.StorageError`.  Writes are atomic: a reader sees the whole object or none.

    Attributes:
        uri: Where the space begins, without a slash at the end.
    """

    uri: str

    @abstractmethod
    def stat(self, key: str) -> ObjectInfo | None:
        """What is known of ``key``, or None where there is no such object."""

    @abstractmethod
    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Every object whose key begins with ``prefix``, in the order of their keys."""

    @abstractmethod
    def read_bytes(self, key: str) -> tuple[bytes, ObjectInfo]:
        """The contents of a small object, verified against its checksum.

        Raises:
            ObjectNotFoundError: There is no such object.
        """

    @abstractmethod
    def write_bytes(self, key: str, data: bytes, *, if_generation: int | None = None) -> ObjectInfo:
        """Write a small object.

        Args:
            key: Where.
            data: What.
            if_generation: Write only if the object is at this generation (0: only if it does not exist).  Writing bytes
                that are there already counts as done.  None: write whatever is there.

        Raises:
            PreconditionFailedError: The object is at another generation, with other bytes.
        """

    @abstractmethod
    def upload(self, path: Path, key: str, *, if_generation: int | None = None) -> ObjectInfo:
        """Write an object from a file; as :meth:`write_bytes`."""

    @abstractmethod
    def download(self, key: str, path: Path) -> ObjectInfo:
        """Write an object to ``path``: to a hidden ``.part`` file beside it first, verified, synced, then renamed.

        Raises:
            ObjectNotFoundError: There is no such object.
        """

    @abstractmethod
    def delete(self, key: str, *, if_generation: int | None = None) -> None:
        """Remove an object; one that is not there counts as removed.

        Raises:
            PreconditionFailedError: The object is at another generation.
        """

    def uri_of(self, key: str) -> str:
        """The full URI of ``key``."""
        return f"{self.uri}/{key}"
