"""The one interface to a result bucket; every back end passes the same contract tests."""

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
"""How long an object may be found "there already" without being written again.

Whoever finds a file of an older, unfinished publication and builds on it must renew it: the new generation is what
keeps garbage collection, which deletes by the generation that it judged, from taking the file away a moment later.
"""


class Storage(ABC):
    """A flat space of objects under one URI.

    Keys are relative POSIX paths: no ``..``, no leading ``/``, no backslash, no empty part; anything else raises
    :class:`~sightline.errors.StorageError`.  Writes are atomic: a reader sees the whole object or none.  A storage may
    be used by several threads at once.

    Attributes:
        uri: Where the space begins, without a slash at the end.
        jobs: How many objects are transferred at once.
    """

    uri: str
    jobs: int

    @abstractmethod
    def stat(self, key: str) -> ObjectInfo | None:
        """The metadata of ``key``, or None if there is no such object."""

    @abstractmethod
    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Every object whose key begins with ``prefix``, in the order of their keys."""

    @abstractmethod
    def names(self, prefix: str = "") -> Iterator[str]:
        """The keys that :meth:`list` would give; nothing is read but names."""

    @abstractmethod
    def read(self, key: str, sink: Sink, progress: Progress | None = None) -> ObjectInfo:
        """Read an object into a sink, verified against its checksum.

        Args:
            key: Which.
            sink: Where its bytes go.
            progress: Advanced by the bytes that arrive.

        Raises:
            ObjectNotFoundError: There is no such object.
            StorageError: It could not be read whole.
        """

    @abstractmethod
    def write_bytes(self, key: str, data: bytes, *, if_generation: int | None = None) -> ObjectInfo:
        """Write a small object.

        Args:
            key: Where.
            data: What.
            if_generation: Write only if the object is at this generation (0: only if it does not exist).  Writing bytes
                that are there already counts as done; with 0, an object older than
                :data:`FRESH_SECONDS` gets a new generation by it.  None: write whatever is there.

        Raises:
            PreconditionFailedError: The object is at another generation, with other bytes.
        """

    @abstractmethod
    def upload(
        self, path: Path, key: str, *, if_generation: int | None = None, progress: Progress | None = None
    ) -> ObjectInfo:
        """Write an object from a file; as :meth:`write_bytes`.  ``progress`` is advanced by bytes."""

    @abstractmethod
    def delete(self, key: str, *, if_generation: int | None = None) -> None:
        """Remove an object; a missing object counts as removed.

        Raises:
            PreconditionFailedError: The object is at another generation.
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
        """Write an object to ``path``: to a hidden ``.part`` file beside it first, verified, synced, then renamed.

        Raises:
            ObjectNotFoundError: There is no such object.
        """
        return self.read(key, lambda: downloaded(path), progress)

    def download_many(
        self, items: Iterable[Download], progress: Progress | None = None, *, jobs: int | None = None
    ) -> Iterator[Outcome]:
        """Read many objects at once; what became of each comes in the order in which they finish.

        One that fails does not stop the others.  Nothing happens before the outcomes are asked for, and memory does not
        grow with their number.

        Args:
            items: Taken as they are needed.
            progress: Advanced by the bytes that arrive.
            jobs: How many at once, where other processes share the work; None: :attr:`jobs`.
        """

        def work(item: Download) -> Outcome:
            return _outcome(item.key, lambda: self.read(item.key, item.sink, progress))

        return in_pool(work, items, jobs or self.jobs)

    def upload_many(self, items: Iterable[Upload], progress: Progress | None = None) -> Iterator[Outcome]:
        """Write many objects at once; as :meth:`download_many`."""

        def work(item: Upload) -> Outcome:
            return _outcome(
                item.key, lambda: self.upload(item.path, item.key, if_generation=item.if_generation, progress=progress)
            )

        return in_pool(work, items, self.jobs)

    def missing(self, keys: Iterable[str]) -> set[str]:
        """Those of ``keys`` that the bucket does not have; found by listing the folders they lie in."""
        folders: dict[str, set[str]] = defaultdict(set)
        for key in keys:
            folders[validate_key(key).rpartition("/")[0]].add(key)

        def absent(folder: str) -> set[str]:
            return folders[folder].difference(self.names(f"{folder}/" if folder else ""))

        return {key for found in in_pool(absent, folders, self.jobs) for key in found}


def moved_error(uri: str, expected: int | None, present: int) -> PreconditionFailedError:
    """The object is not at the generation that a writer expected.

    Args:
        uri: Of the object.
        expected: The generation that was expected; 0 for none.
        present: The generation that is there; 0 for none.
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
