"""The common interface of result buckets; every back end passes the same contract tests."""

from __future__ import annotations

import contextlib
import io
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from sightline.errors import PreconditionFailedError, SightlineError, StorageError
from sightline.logs import Progress
from sightline.storage.files import downloaded
from sightline.storage.keys import validate_key
from sightline.storage.object_info import ObjectInfo
from sightline.storage.transfer import Download, Outcome, Sink, Upload, in_pool

FRESH_SECONDS = 600.0
"""Maximum age of an existing object that is reused without writing it again, seconds.

A process that reuses a file of an older, unfinished publication must renew it: the new generation prevents garbage
collection, which deletes only the generation that it checked, from removing the file a moment later.
"""


class Storage(ABC):
    """A flat namespace of objects under one URI.

    Keys are relative POSIX paths: no ``..``, no leading ``/``, no backslash, no empty part; anything else raises
    :class:`~sightline.errors.StorageError`.  Writes are atomic: a reader sees the complete object or none.  A storage
    may be used by several threads concurrently.

    Attributes:
        uri: The URI of the namespace, without a trailing slash.
        jobs: Number of concurrent transfers.
    """

    uri: str
    jobs: int

    @abstractmethod
    def stat(self, key: str) -> ObjectInfo | None:
        """The metadata of ``key``, or None if there is no such object."""

    @abstractmethod
    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Every object whose key has the prefix ``prefix``, sorted by key."""

    @abstractmethod
    def names(self, prefix: str = "") -> Iterator[str]:
        """The keys of the objects in :meth:`list`; only names are read."""

    @abstractmethod
    def read(self, key: str, sink: Sink, progress: Progress | None = None) -> ObjectInfo:
        """Read an object into a sink, verified against its checksum.

        Args:
            key: The key of the object.
            sink: The destination of its bytes.
            progress: Advanced by the number of bytes received.

        Raises:
            ObjectNotFoundError: There is no such object.
            StorageError: It could not be read completely.
        """

    @abstractmethod
    def write_bytes(self, key: str, data: bytes, *, if_generation: int | None = None) -> ObjectInfo:
        """Write a small object.

        Args:
            key: The key of the object.
            data: Its contents.
            if_generation: Write only if the object has this generation (0: only if it does not exist).  If the object
                exists with the same bytes, the write counts as done; with 0, an object older than
                :data:`FRESH_SECONDS` gets a new generation.  None: overwrite any generation.

        Raises:
            PreconditionFailedError: The object has another generation, with other bytes.
        """

    @abstractmethod
    def upload(
        self, path: Path, key: str, *, if_generation: int | None = None, progress: Progress | None = None
    ) -> ObjectInfo:
        """Write an object from a file; like :meth:`write_bytes`.  ``progress`` is advanced by the number of bytes."""

    @abstractmethod
    def delete(self, key: str, *, if_generation: int | None = None) -> None:
        """Remove an object; a missing object counts as removed.

        Raises:
            PreconditionFailedError: The object has another generation.
        """

    def uri_of(self, key: str) -> str:
        """The full URI of ``key``."""
        return f"{self.uri}/{key}"

    def read_bytes(self, key: str) -> tuple[bytes, ObjectInfo]:
        """The contents of a small object, verified against its checksum.

        Raises:
            ObjectNotFoundError: There is no such object.
        """
        buffers: list[io.BytesIO] = []

        @contextlib.contextmanager
        def memory() -> Iterator[BinaryIO]:
            buffers.append(io.BytesIO())
            yield buffers[-1]

        info = self.read(key, memory)
        return buffers[-1].getvalue(), info

    def download(self, key: str, path: Path, progress: Progress | None = None) -> ObjectInfo:
        """Download an object to ``path``, atomically: to a hidden ``.part`` file, verified, synced, then renamed.

        Raises:
            ObjectNotFoundError: There is no such object.
        """
        return self.read(key, lambda: downloaded(path), progress)

    def download_many(
        self, items: Iterable[Download], progress: Progress | None = None, *, jobs: int | None = None
    ) -> Iterator[Outcome]:
        """Read many objects concurrently; yields the outcomes in the order of completion.

        A failure does not stop the other transfers.  Nothing happens before the outcomes are consumed, and memory use
        does not depend on their number.

        Args:
            items: Consumed lazily.
            progress: Advanced by the number of bytes received.
            jobs: Number of concurrent transfers, if other processes share the work; None: :attr:`jobs`.
        """

        def work(item: Download) -> Outcome:
            return _outcome(item.key, lambda: self.read(item.key, item.sink, progress))

        return in_pool(work, items, jobs or self.jobs)

    def upload_many(self, items: Iterable[Upload], progress: Progress | None = None) -> Iterator[Outcome]:
        """Write many objects concurrently; like :meth:`download_many`."""

        def work(item: Upload) -> Outcome:
            return _outcome(
                item.key, lambda: self.upload(item.path, item.key, if_generation=item.if_generation, progress=progress)
            )

        return in_pool(work, items, self.jobs)

    def missing(self, keys: Iterable[str]) -> set[str]:
        """The keys that do not exist in the bucket; found by listing their folders."""
        folders: dict[str, set[str]] = defaultdict(set)
        for key in keys:
            folders[validate_key(key).rpartition("/")[0]].add(key)

        def absent(folder: str) -> set[str]:
            return folders[folder].difference(self.names(f"{folder}/" if folder else ""))

        return {key for found in in_pool(absent, folders, self.jobs) for key in found}


def moved_error(uri: str, expected: int | None, present: int) -> PreconditionFailedError:
    """The error for an object with another generation than the writer expected.

    Args:
        uri: URI of the object.
        expected: The generation that was expected; 0 for none.
        present: The current generation; 0 for none.
    """
    state = f"is at generation {present}" if present else "does not exist"
    wanted = f"at generation {expected}" if expected else "not to exist"
    return PreconditionFailedError(
        f"{uri} {state}, but was expected {wanted}: another process changed it first; read the object again before "
        "you retry"
    )


def _outcome(key: str, work: Callable[[], ObjectInfo]) -> Outcome:
    try:
        return Outcome(key, info=work())
    except SightlineError as error:
        return Outcome(key, error=error)
    except OSError as error:
        return Outcome(
            key, error=StorageError(f"cannot write the contents of {key}: {error}; check the disk and the path")
        )
