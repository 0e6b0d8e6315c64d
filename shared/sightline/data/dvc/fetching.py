"""Objects of a remote fetched into DVC's cache, by several processes where there are many.

For a small object most of the time goes into Python itself, and the threads of one interpreter wait for one another.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Executor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from loky.process_executor import ProcessPoolExecutor

from sightline.data.dvc.cache import Cache
from sightline.data.dvc.objects import DamagedObjectError, object_key, object_md5
from sightline.errors import ObjectNotFoundError
from sightline.logs import Progress, configure_logging
from sightline.storage import Download, Storage, open_storage

BATCH = 64
MIN_OBJECTS = 400
"""Fewer are fetched before another process has imported what it needs."""

MAX_PROCESSES = 8

_log = logging.getLogger(__name__)

Faults = dict[str, str]
"""Object -> ``missing`` or ``damaged``."""


def fetch_objects(
    storage: Storage, cache: Cache, temporary: Path, objects: Collection[str], *, processes: int, progress: Progress
) -> Faults:
    """Put objects into the cache, each compared with its name on the way.

    Args:
        storage: Where they are.
        cache: Where they go.
        temporary: A folder of this call alone, in the cache's file system.
        objects: Their MD5s.
        processes: How many may share the work; no more than there are processors.
        progress: Advanced by bytes.

    Returns:
        Those that the storage does not have as they should be.

    Raises:
        StorageError: The storage cannot be read.
        RepositoryError: The disk does not take them.
    """
    wanted = sorted(objects)
    processes = min(processes, _processors(), MAX_PROCESSES)
    if processes == 1 or len(wanted) < MIN_OBJECTS:
        return _fetch(storage, cache, temporary, wanted, jobs=storage.jobs, progress=progress)
    faults: Faults = {}
    left: list[str] = []
    with _pool(processes, storage, cache, temporary) as pool:
        batches = [wanted[start : start + BATCH] for start in range(0, len(wanted), BATCH)]
        for batch, outcome in [(batch, pool.submit(_fetch_there, batch)) for batch in batches]:
            try:
                found, size = outcome.result()
            except BrokenProcessPool:
                left += batch
            else:
                faults |= found
                progress.advance(size)
    if left:
        _log.warning("a process that helped to fetch was killed; %d objects are fetched without it", len(left))
        faults |= _fetch(storage, cache, temporary, left, jobs=storage.jobs, progress=progress)
    return faults


@contextmanager
def _pool(processes: int, storage: Storage, cache: Cache, temporary: Path) -> Iterator[Executor]:
    """Processes that end with the context, whatever they are doing.

    Those of loky do not run the script that called, as those of the standard library do: that may be anybody's.
    """
    here = (os.getpid(), storage.uri, cache.root, temporary, max(storage.jobs // processes, 1))
    pool = ProcessPoolExecutor(processes, initializer=_prepare, initargs=here)
    try:
        yield pool
    finally:
        pool.shutdown(kill_workers=True)


_fetch_here: Callable[..., Faults]
"""In a process of the pool: :func:`_fetch` with what :func:`_prepare` was given."""


def _prepare(parent: int, uri: str, root: Path, temporary: Path, jobs: int) -> None:
    global _fetch_here  # noqa: PLW0603  (one process, one storage)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who is stopped by hand is the process that started this one
    configure_logging(logging.WARNING)
    _fetch_here = partial(_fetch, open_storage(uri), Cache(root), temporary, jobs=jobs)


def _end_with(parent: int) -> None:
    """End this process when the one that started it was killed and could not say so."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


def _fetch_there(objects: Sequence[str]) -> tuple[Faults, int]:
    """In a process of the pool: the faults, and how many bytes came."""
    progress = Progress("help to fetch", unit="bytes")
    return _fetch_here(objects, progress=progress), progress.done


def _fetch(
    storage: Storage, cache: Cache, temporary: Path, objects: Sequence[str], *, jobs: int, progress: Progress
) -> Faults:
    items = (Download(object_key(md5), partial(cache.writer, md5, temporary / md5)) for md5 in objects)
    faults: Faults = {}
    for outcome in storage.download_many(items, progress, jobs=jobs):
        if isinstance(outcome.error, ObjectNotFoundError):
            faults[object_md5(outcome.key)] = "missing"
        elif isinstance(outcome.error, DamagedObjectError):
            faults[object_md5(outcome.key)] = "damaged"
        elif outcome.error is not None:  # what stops one will stop the others: the network, the disk
            raise outcome.error
    return faults


def _processors() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        return os.cpu_count() or 1
