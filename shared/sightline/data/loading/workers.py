"""The number of worker processes, from the CPUs and the shared memory of this machine or container."""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path
from typing import Literal

_log = logging.getLogger(__name__)

PREFETCHED_BATCHES = 2
"""Batches that each worker prepares in advance."""

MOST_WORKERS = 8
"""More workers than this need more memory and rarely make a training faster."""

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108
_CGROUP = Path("/sys/fs/cgroup")
_SHARE_OF_SHARED_MEMORY = 0.5


def available_cpus(cgroup: Path = _CGROUP) -> int:
    """The CPUs that this process may use: those of its affinity, within the limit of the container; at least 1.

    Args:
        cgroup: Where the control group of the container is mounted, version 2 or 1.
    """
    cpus = float(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    for quota, period in (_limit_of_version_2(cgroup), _limit_of_version_1(cgroup)):
        if quota > 0 and period > 0:
            cpus = min(cpus, quota / period)
    return max(1, int(cpus))


def _limit_of_version_2(cgroup: Path) -> tuple[int, int]:
    try:
        quota, _, period = (cgroup / "cpu.max").read_text().partition(" ")
        return int(quota), int(period)
    except (OSError, ValueError):  # no control group, or "max"
        return 0, 0


def _limit_of_version_1(cgroup: Path) -> tuple[int, int]:
    try:
        quota, period = ((cgroup / "cpu" / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return int(quota), int(period)
    except (OSError, ValueError):
        return 0, 0


def choose_workers(
    setting: int | Literal["auto"],
    *,
    batch_bytes: int,
    on_gpu: bool,
    processes: int = 1,
    cpus: int | None = None,
    shared_memory: Path = SHARED_MEMORY,
) -> int:
    """The number of workers of one training process.

    A GPU is fed by all CPUs but one; a training on the CPU gives up one CPU at most.  Fewer are used if their batches
    would fill more than half of the shared memory.

    Args:
        setting: The setting ``train.workers``.
        batch_bytes: Size of the images of a batch of this process, bytes.
        on_gpu: Whether the network is trained on a GPU.
        processes: Training processes on this machine.
        cpus: The CPUs; by default :func:`available_cpus`.
        shared_memory: Where shared memory is mounted.
    """
    wanted = _for_cpus((cpus or available_cpus()) // processes, on_gpu=on_gpu) if setting == "auto" else setting
    if not wanted or not shared_memory.is_dir():
        return wanted
    free = shutil.disk_usage(shared_memory).free
    fitting = int(free * _SHARE_OF_SHARED_MEMORY / processes / max(1, batch_bytes * (PREFETCHED_BATCHES + 1)))
    if fitting >= wanted:
        return wanted
    needed = wanted * processes * batch_bytes * (PREFETCHED_BATCHES + 1) / _SHARE_OF_SHARED_MEMORY
    if setting == "auto":
        _log.warning(
            "%d instead of %d workers, because %s has only %.2f GB free; mount %.1f GB there (in a pod: an emptyDir "
            "with medium: Memory) to use all",
            fitting, wanted, shared_memory, free / 1e9, needed / 1e9,
        )  # fmt: skip
        return fitting
    _log.warning(
        "train.workers=%d needs up to %.1f GB in %s, which has %.2f GB free; use fewer workers or mount more if a "
        "worker is killed", wanted, needed / 1e9, shared_memory, free / 1e9,
    )  # fmt: skip
    return wanted


def _for_cpus(cpus: int, *, on_gpu: bool) -> int:
    if on_gpu:
        return max(1, min(MOST_WORKERS, cpus - 1))
    return min(1, max(0, cpus - 1))
