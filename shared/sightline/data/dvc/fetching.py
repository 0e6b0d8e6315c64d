"""Objects of a remote fetched into DVC's cache, by several processes where there are many.

For a small object most of the time goes into Python itself, and the threads of one interpreter wait for one another.
"""

from __future__ import annotations

import functools
import logging
import os
import signal
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Executor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from sightline.data.dvc.cache import Cache
from sightline.data.dvc.objects import DamagedObjectError, object_key, object_md5
from sightline.errors import ObjectNotFoundError
from sightline.logs import Progress, configure_logging
from sightline.storage import Download, Storage, open_storage

BATCH = 64
MIN_OBJECTS = 400
"""Fewer are fetched before another process has imported what it needs."""

MAX_PROCESSES = 8
_POOLS = 2
"""How many are started, one after the other, before this process goes on alone."""


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
    faults: Faults = {}
    for _ in range(_POOLS):
        if processes == 1 or len(wanted) < MIN_OBJECTS:
            break
        found, wanted = _fetch_together(storage, cache, temporary, wanted, processes=processes, progress=progress)
        faults |= found
    return faults | _fetch(storage, cache, temporary, wanted, jobs=storage.jobs, progress=progress)


def _fetch_together(
    storage: Storage, cache: Cache, temporary: Path, wanted: Sequence[str], *, processes: int, progress: Progress
) -> tuple[Faults, list[str]]:
    """Let a pool of processes fetch objects: the faults that it found, and the objects that it left undone."""
    batches = [wanted[start : start + BATCH] for start in range(0, len(wanted), BATCH)]
    there = partial(_fetch_there, storage.uri, cache.root, temporary, max(storage.jobs // processes, 1))
    faults: Faults = {}
    done: set[int] = set()
    try:
        with _pool(processes) as pool:
            with _interrupts_held():  # the processes start here, and inherit it
                outcomes = [pool.submit(there, batches[0])]
            outcomes += [pool.submit(there, batch) for batch in batches[1:]]
            for number, outcome in enumerate(outcomes):
                found, size = outcome.result()
                faults |= found
                progress.advance(size)
                done.add(number)
    except BrokenProcessPool:
        _log.warning("a process that helped to fetch was killed, maybe because memory ran out; fetching goes on")
    except _NoPoolError as error:
        _log.warning("only one process fetches: %s", error)
    return faults, [md5 for number, batch in enumerate(batches) if number not in done for md5 in batch]


class _NoPoolError(Exception):
    """This machine gives no pool of processes."""


@contextmanager
def _pool(processes: int) -> Iterator[Executor]:
    """Processes that end with the context, whatever they are doing.

    Those of loky do not run the script that called, as those of the standard library do: that may be anybody's.
    """
    try:
        from loky.process_executor import ProcessPoolExecutor

        pool = ProcessPoolExecutor(processes, initializer=_prepare, initargs=(os.getpid(),))
    except ImportError as error:
        raise _NoPoolError(
            f"{error}; images that were built for an earlier release lack it: build them again"
        ) from error
    except OSError as error:
        raise _NoPoolError(f"the system gives no semaphores ({error.strerror}); look at /dev/shm") from error
    try:
        yield pool
    finally:
        pool.shutdown(kill_workers=True)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Ctrl-C reaches this process after the context, and none of those that it starts meanwhile."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _prepare(parent: int) -> None:
    """What a process of the pool does first."""
    configure_logging(logging.WARNING)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """End this process when the one that started it was killed and could not say so."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


_opened = functools.cache(open_storage)


def _fetch_there(uri: str, root: Path, temporary: Path, jobs: int, objects: Sequence[str]) -> tuple[Faults, int]:
    """In a process of the pool: the faults, and how many bytes came."""
    progress = Progress("help to fetch", unit="bytes")
    return _fetch(_opened(uri), Cache(root), temporary, objects, jobs=jobs, progress=progress), progress.done


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
