"""Objects of a remote fetched into DVC's cache, by several processes where there are many.

For a small object most of the time goes into Python itself, and the threads of one interpreter wait for one another.
So helpers share the work: processes that read names of objects from their standard input, and say on their standard
output what became of them.  A helper ends when its input does, so none outlives by long the process that started it.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Protocol, Self

from sightline import strict_json
from sightline.data.dvc.cache import Cache
from sightline.data.dvc.objects import DamagedObjectError, object_key, object_md5
from sightline.errors import ObjectNotFoundError, SightlineError, StorageError
from sightline.logs import Progress, configure_logging
from sightline.storage import Download, Storage, open_storage
from sightline.storage.transfer import in_pool

BATCH = 64
MIN_OBJECTS = 400
"""Fewer are fetched before a helper has imported what it needs."""

MAX_PROCESSES = 8

_log = logging.getLogger(__name__)

Faults = dict[str, str]
"""Object -> ``missing`` or ``damaged``."""


class _Fetcher(Protocol):
    def __call__(self, objects: Sequence[str]) -> Faults: ...


def fetch_objects(
    storage: Storage, cache: Cache, temporary: Path, objects: Collection[str], *, processes: int, progress: Progress
) -> Faults:
    """Put objects into the cache, each compared with its name on the way.

    Args:
        storage: Where they are.
        cache: Where they go.
        temporary: A folder of this call alone, in the cache's file system.
        objects: Their MD5s.
        processes: How many may share the work, this one included; no more than there are processors.
        progress: Advanced by bytes.

    Returns:
        Those that the storage does not have as they should be.

    Raises:
        StorageError: The storage cannot be read.
        RepositoryError: The disk does not take them.
    """
    processes = min(processes, _processors(), MAX_PROCESSES) if len(objects) >= MIN_OBJECTS else 1
    jobs = max(storage.jobs // processes, 1)
    here = partial(_fetch, storage, cache, temporary, jobs=jobs, progress=progress)
    wanted = sorted(objects)
    batches = (wanted[start : start + BATCH] for start in range(0, len(wanted), BATCH))
    faults: Faults = {}
    with ExitStack() as stack:
        free: SimpleQueue[_Fetcher] = SimpleQueue()
        free.put(here)
        for _ in range(processes - 1):
            free.put(
                stack.enter_context(_Helper([storage.uri, str(cache.root), str(temporary), str(jobs)], progress, here))
            )

        def fetch(batch: Sequence[str]) -> Faults:
            fetcher = free.get()
            try:
                return fetcher(batch)
            finally:
                free.put(fetcher)

        for found in in_pool(fetch, batches, processes):
            faults |= found
    return faults


class _Helper:
    """Another process that fetches; what it leaves undone is done here instead."""

    def __init__(self, arguments: list[str], progress: Progress, here: _Fetcher) -> None:
        self._arguments, self._progress, self._here = arguments, progress, here
        self._gone = False

    def __enter__(self) -> Self:
        path = os.pathsep.join(entry for entry in sys.path if entry)
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, *self._arguments],
            env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # what stops this process by hand shall not reach the helper first
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def __call__(self, objects: Sequence[str]) -> Faults:
        answer = None if self._gone else self._ask(objects)
        if answer is None:
            if not self._gone:
                _log.warning("a process that helped to fetch was killed; what it left is fetched without it")
            self._gone = True
            return self._here(objects)
        if answer["error"]:
            raise StorageError(answer["error"])
        self._progress.advance(answer["bytes"])
        return dict(answer["faults"])

    def _ask(self, objects: Sequence[str]) -> dict[str, Any] | None:
        """What the helper says; None where it is gone."""
        assert self._process.stdin is not None  # noqa: S101
        assert self._process.stdout is not None  # noqa: S101
        try:
            self._process.stdin.write(json.dumps(objects) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return None
        answer = self._process.stdout.readline()
        return dict(strict_json.decode(answer)) if answer.endswith("\n") else None


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


def _answers(uri: str, root: str, temporary: str, jobs: str) -> Iterator[dict[str, Any]]:
    """What a helper says to each line of its input."""
    storage: Storage | None = None
    for line in sys.stdin:
        progress = Progress("help to fetch", unit="bytes")
        try:
            storage = storage or open_storage(uri)
            objects = list(strict_json.decode(line))
            faults = _fetch(storage, Cache(Path(root)), Path(temporary), objects, jobs=int(jobs), progress=progress)
        except SightlineError as error:
            yield {"faults": {}, "bytes": 0, "error": str(error)}
        else:
            yield {"faults": faults, "bytes": progress.done, "error": ""}


def _processors() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        return os.cpu_count() or 1


if __name__ == "__main__":
    configure_logging(logging.WARNING)
    try:
        for answer in _answers(*sys.argv[1:]):
            print(json.dumps(answer), flush=True)  # noqa: T201  (the pipe to the process that started it)
    except (BrokenPipeError, KeyboardInterrupt):
        sys.exit(1)
