"""Fetches objects of a remote to DVC's cache, with several processes if there are many objects.

For small objects most of the time is spent in Python itself, where threads would block each other.
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
"""For fewer objects, starting another process takes longer than fetching them."""

MAX_PROCESSES = 8
_POOLS = 2
"""How often the pool is started again before this process continues alone."""


_log = logging.getLogger(__name__)

Faults = dict[str, str]
"""Object -> ``missing`` or ``damaged``."""


def fetch_objects(
    storage: Storage, cache: Cache, temporary: Path, objects: Collection[str], *, processes: int, progress: Progress
) -> Faults:
    """Fetch objects to the cache; each is verified on the way.

    Args:
        storage: The source.
        cache: The destination.
        temporary: A folder for this call only, in the cache's file system.
        objects: Their MD5s.
        processes: Maximum number of processes; limited by the number of processors.
        progress: Advanced by the number of bytes.

    Returns:
        The objects that are missing or damaged in the storage.

    Raises:
        StorageError: The storage cannot be read.
        RepositoryError: The disk is full or unavailable.
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
    """Fetch objects with a pool of processes; returns the faults, and the objects that are not done."""
    batches = [wanted[start : start + BATCH] for start in range(0, len(wanted), BATCH)]
    there = partial(_fetch_there, storage.uri, cache.root, temporary, max(storage.jobs // processes, 1))
    faults: Faults = {}
    done: set[int] = set()
    try:
        with _pool(processes) as pool:
            with _interrupts_held():  # the processes start here, and inherit the mask
                outcomes = [pool.submit(there, batches[0])]
            outcomes += [pool.submit(there, batch) for batch in batches[1:]]
            for number, outcome in enumerate(outcomes):
                found, size = outcome.result()
                faults |= found
                progress.advance(size)
                done.add(number)
    except BrokenProcessPool:
        _log.warning("a process that fetched objects was killed, possibly because memory ran out; fetching continues")
    except _NoPoolError as error:
        _log.warning("objects are fetched with one process only: %s", error)
    return faults, [md5 for number, batch in enumerate(batches) if number not in done for md5 in batch]


class _NoPoolError(Exception):
    """A pool of processes cannot be started on this machine."""


@contextmanager
def _pool(processes: int) -> Iterator[Executor]:
    """A pool of processes that is terminated at the end of the context, even if the processes are busy.

    Unlike those of the standard library, the processes of loky do not run the calling script, which may be any script.
    """
    try:
        from loky.process_executor import ProcessPoolExecutor

        pool = ProcessPoolExecutor(processes, initializer=_prepare, initargs=(os.getpid(),))
    except ImportError as error:
        raise _NoPoolError(f"{error}; images that were built for an earlier release lack it: rebuild them") from error
    except OSError as error:
        raise _NoPoolError(f"the system does not provide semaphores ({error.strerror}); check /dev/shm") from error
    try:
        yield pool
    finally:
        pool.shutdown(kill_workers=True)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Delay Ctrl-C until the end of the context; processes started in it never receive it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _prepare(parent: int) -> None:
    """Initialize a process of the pool."""
    configure_logging(logging.WARNING)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """End this process when its parent process was killed and could not end it."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


_opened = functools.cache(open_storage)


def _fetch_there(uri: str, root: Path, temporary: Path, jobs: int, objects: Sequence[str]) -> tuple[Faults, int]:
    """Runs in a process of the pool; returns the faults and the number of bytes."""
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
        elif outcome.error is not None:  # a network or disk error would stop the others, too
            raise outcome.error
    return faults


def _processors() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        return os.cpu_count() or 1
