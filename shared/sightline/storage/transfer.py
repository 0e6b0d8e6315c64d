"""Concurrent transfers: a bounded pool of threads, results in order of completion, constant memory use."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import BinaryIO, TypeVar

from sightline.errors import SightlineError
from sightline.storage.object_info import ObjectInfo

Item = TypeVar("Item")
Result = TypeVar("Result")

Sink = Callable[[], AbstractContextManager[BinaryIO]]
"""Opens the destination of an object's bytes, once per attempt.

Bytes are written once and in order.  If the context ends without an exception, all bytes were written and their
checksum is correct: the destination keeps them, or raises its own error.  If it ends with an exception, the
destination must discard them.
"""


@dataclass(frozen=True, slots=True)
class Download:
    """An object to read.

    Attributes:
        key: The key of the object.
        sink: The destination of its bytes; called in a thread of the pool.
    """

    key: str
    sink: Sink


@dataclass(frozen=True, slots=True)
class Upload:
    """An object to write.

    Attributes:
        path: The file with its bytes.
        key: The key of the object.
        if_generation: See :meth:`sightline.storage.base.Storage.write_bytes`.
    """

    path: Path
    key: str
    if_generation: int | None = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one of many transfers: either ``info`` or ``error``.

    Attributes:
        key: The key of the object.
        info: Metadata of the object after the transfer.
        error: Why it failed.
    """

    key: str
    info: ObjectInfo | None = None
    error: SightlineError | None = None


def in_pool(work: Callable[[Item], Result], items: Iterable[Item], jobs: int) -> Iterator[Result]:
    """Yield ``work(item)`` for every item, in order of completion.

    At most twice ``jobs`` items are taken from ``items`` before their results are consumed.  An exception of ``work``
    ends the iteration.

    Args:
        work: Called in a thread.
        items: Consumed lazily, in the caller's thread.
        jobs: Number of threads.
    """
    done: SimpleQueue[Future[Result]] = SimpleQueue()  # several times faster than waiting for one of many futures
    pending = 0
    pool = ThreadPoolExecutor(jobs)
    try:
        for item in items:
            pool.submit(work, item).add_done_callback(done.put)
            pending += 1
            if pending >= 2 * jobs:
                yield done.get().result()
                pending -= 1
        for _ in range(pending):
            yield done.get().result()
    finally:
        pool.shutdown(cancel_futures=True)
