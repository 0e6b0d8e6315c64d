"""Explains the end of a worker process."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from sightline.data.loading.workers import SHARED_MEMORY
from sightline.errors import StepError

_ENDED = re.compile(
    r"DataLoader worker \(pid(?:\(s\))? ([\d, ]+)\) (?:is killed by signal: ([^.]+)|exited unexpectedly)"
)


@contextmanager
def worker_failures_explained() -> Iterator[None]:
    """Replace torch's error for a worker that was killed by one that says what to do.

    torch raises it wherever the main process is when the worker ends, so the whole training loop belongs inside.

    Raises:
        StepError: A worker was killed.
    """
    try:
        yield
    except RuntimeError as error:
        found = _ENDED.search(str(error))
        if found is None:
            raise
        raise StepError(_explanation(f" (process {found[1]})", (found[2] or "").strip())) from error


@contextmanager
def lost_batches_explained() -> Iterator[None]:
    """The same for a batch that is lost because its worker was killed while it was passed on.

    Raises:
        StepError: The connection to a worker was lost.
    """
    try:
        yield
    except (ConnectionError, EOFError, FileNotFoundError) as error:
        raise StepError(_explanation("", "")) from error


def _explanation(process: str, signal: str) -> str:
    if "Bus error" in signal:
        return (
            f"a worker that prepares batches{process} ended with a bus error, because the shared memory in "
            f"{SHARED_MEMORY} is full; mount more there (in a pod: an emptyDir with medium: Memory), or set a smaller "
            "train.workers or train.batch_size"
        )
    how = f"was killed by a signal ({signal})" if signal else "ended unexpectedly"
    return (
        f"a worker that prepares batches{process} {how}; if the system ran out of memory, raise the memory "
        "limit or set a smaller train.workers, train.cache_ram_gb or train.batch_size, then run the same command to "
        "resume; train.workers=0 shows an error of the worker itself"
    )
