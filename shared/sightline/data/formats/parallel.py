"""Reads many images in several processes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import TypeVar

from sightline.data.formats.reading import FileReading
from sightline.errors import DataError
from sightline.logs import Progress

_CHUNK = 32
"""Number of items that a process reads before it reports."""

_FEW_ITEMS = 256
"""Fewer items than this are read faster than processes start."""

Item = TypeVar("Item")


def read_all(
    read: Callable[[Item], FileReading], items: Sequence[Item], root: Path, jobs: int, *, unit: str = "files"
) -> list[FileReading]:
    """Read every item, with ``jobs`` processes if there are many.

    Args:
        read: Reads one item; a function or method that can be sent to another process.
        items: The items, such as the paths of annotation files.
        root: The folder, for messages.
        jobs: Number of processes.
        unit: Noun of the items, for the progress bar.

    Returns:
        The readings, in the order of the items.

    Raises:
        DataError: A process that read images was killed.
    """
    readings: list[FileReading] = []
    with Progress("read annotations", total=len(items), unit=unit) as progress:
        for reading in _read(read, items, root, jobs):
            readings.append(reading)
            progress.advance()
    return readings


def _read(read: Callable[[Item], FileReading], items: Sequence[Item], root: Path, jobs: int) -> Iterator[FileReading]:
    if jobs == 1 or len(items) <= _FEW_ITEMS:
        yield from map(read, items)
        return
    chunks = [items[start : start + _CHUNK] for start in range(0, len(items), _CHUNK)]
    # Not fork: a forked process would inherit locks held by threads of the caller (DVC, a progress bar).
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "sightline.data.images", "sightline.data.rasterizer"])
    with ProcessPoolExecutor(min(jobs, len(chunks)), mp_context=context) as pool:
        try:
            for readings in pool.map(partial(_read_chunk, read), chunks):
                yield from readings
        except BrokenProcessPool as error:
            raise DataError(
                f"a process that read images of {root} ended before its work was done: it was killed, probably for "
                "lack of memory (lower data.max_pixels), or the calling script lacks the guard "
                "`if __name__ == '__main__':`; data.jobs=1 reads without processes"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _read_chunk(read: Callable[[Item], FileReading], items: Sequence[Item]) -> list[FileReading]:
    return [read(item) for item in items]
