"""One of several processes of a training: ``python -m sightline.engine.worker JOB.json``.

It is started by torchrun or its library, which set ``RANK``, ``WORLD_SIZE``, ``LOCAL_RANK`` and the address of the
first process; see :mod:`sightline.engine.launch`.  The first process writes all files and the log; the others only log
warnings, with their number.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sightline.engine.job import HEARTBEAT, NODES_LOG, Failure, Job, read_failures
from sightline.errors import SightlineError
from sightline.logs import NO_PROGRESS, PROGRESS_VARIABLE, logging_to
from sightline.pod import prepare_pod
from sightline.processes import end_with_parent

REPORT_SECONDS = 10.0
"""Longest time that a failed process waits for the report of another one, before it ends and all others with it."""

SILENCE_SECONDS = 300.0
"""Time without a sign of life of the step, on another node, after which its processes end."""

_log = logging.getLogger("sightline.engine.worker")  # its __name__ is __main__


def main(path: Path) -> int:
    """Take part in a training.

    Args:
        path: The job.

    Returns:
        The exit code.
    """
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends this process without a traceback
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    prepare_pod()
    if rank:
        _only_log_warnings(rank)
    try:
        on_nodes = (path.parent / HEARTBEAT).exists()
        if on_nodes:
            _end_without(path.parent / HEARTBEAT)
        job = Job.read(path)
        _train(job, path.parent / NODES_LOG if on_nodes else job.files / "log.txt")
    except Exception as error:  # noqa: BLE001  (it ends this process, and is reported)
        _report(error, path.parent, rank, size)
        return 1
    return 0


def _train(job: Job, log: Path) -> None:
    from sightline.engine.group import joined_group
    from sightline.engine.training import train_network

    with logging_to(log), _logged_bugs(), joined_group(job.config.train.device) as group:
        checkpoints = job.checkpoints()
        if group.is_first:
            checkpoints.read_state()  # fetches what is missing from the bucket, once
        group.wait()
        train_network(
            job.config, job.code_rev, job.record, job.source, files=job.files, checkpoints=checkpoints, group=group
        )


def _end_without(heartbeat: Path) -> None:
    """End this process if the step, on another node, does not change its file any more: it was killed."""

    def watch() -> None:
        seen, since = "", time.monotonic()
        while time.monotonic() - since < SILENCE_SECONDS:
            time.sleep(SILENCE_SECONDS / 20)
            with suppress(OSError):  # the volume may be unavailable for a moment
                now = heartbeat.read_text(encoding="ascii")
                seen, since = (now, time.monotonic()) if now != seen else (seen, since)
        _log.warning("the step that started this training is gone; ending this process")
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def _only_log_warnings(rank: int) -> None:
    """Log warnings and errors only, with the number of the process; the first process logs everything."""
    os.environ[PROGRESS_VARIABLE] = NO_PROGRESS
    warnings.simplefilter("ignore")  # the first process shows them
    logging.disable(logging.INFO)
    plain = logging.getLogRecordFactory()

    def with_rank(*given: Any, **more: Any) -> logging.LogRecord:  # noqa: ANN401  (logging's)
        record = plain(*given, **more)
        record.msg = f"rank {rank}: {record.msg}"
        return record

    logging.setLogRecordFactory(with_rank)


@contextmanager
def _logged_bugs() -> Iterator[None]:
    """Log the traceback of an exception that is neither an error for the user nor a lost connection."""
    try:
        yield
    except Exception as error:
        if not (isinstance(error, SightlineError) or _is_lost_connection(error)):
            _log.error("unexpected error", exc_info=error)
        raise


def _report(error: Exception, folder: Path, rank: int, size: int) -> None:
    """Report why this process ends, then wait for the report that is more important than this one.

    If another process fails, this one loses its connection, perhaps before the other one has ended; and the first
    process may still be saving the state of the training when another one fails with it.
    """
    Failure(rank, type(error).__name__, str(error), _is_lost_connection(error)).write(folder)
    end = time.monotonic() + REPORT_SECONDS
    while size > 1 and time.monotonic() < end:
        reports = read_failures(folder)
        causes = [report for report in reports if not report.follows]
        if causes and (rank == 0 or any(report.rank == 0 for report in reports)):
            return
        time.sleep(0.1)


def _is_lost_connection(error: Exception) -> bool:
    """Whether an exception comes from the exchange with other processes."""
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_globals.get("__name__") == "torch.distributed.distributed_c10d":
            return True
        trace = trace.tb_next
    return False


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
