"""Many objects at once: a bounded pool of threads, results as they come, memory flat in the number of objects."""

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
"""Opens the place where an object's bytes go, anew for each attempt.

Bytes are written once and in order.  The context is left without an exception when all bytes are there and their
checksum is right: then the place keeps them, or refuses them with an error of its own.  Left with an exception, it
must forget them.
"""


@dataclass(frozen=True, slots=True)
class Download:
    """An object to read.

    Attributes:
        key: Which.
        sink: Where its bytes go; it is called in a thread of the pool.
    """

    key: str
    sink: Sink


@dataclass(frozen=True, slots=True)
class Upload:
    """An object to write.

    Attributes:
        path: The file with its bytes.
        key: Where it goes.
        if_generation: See :meth:`sightline.storage.base.Storage.write_bytes`.
    """

    path: Path
    key: str
    if_generation: int | None = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one of many transfers: either ``info`` or ``error``.

    Attributes:
        key: Which.
        info: What is in the bucket now.
        error: Why it failed.
    """

    key: str
    info: ObjectInfo | None = None
    error: SightlineError | None = None


def in_pool(work: Callable[[Item], Result], items: Iterable[Item], jobs: int) -> Iterator[Result]:
    """Yield ``work(item)`` of every item, in the order in which they finish.

    No more than twice ``jobs`` items are taken from ``items`` before their results are asked for.  An exception of
    ``work`` ends everything.

    Args:
        work: Called in a thread.
        items: Consumed lazily, in the thread of the caller.
        jobs: Number of threads.
    """
    done: SimpleQueue[Future[Result]] = SimpleQueue()  # several times as fast as waiting for one of many futures
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
