"""The environment of a step: device, threads, versions and peak memory."""

from __future__ import annotations

import os
import platform
import resource
import socket
import sys
from pathlib import Path

from sightline.registry.results import Environment
from sightline.version import __version__

_GIB = 2**30


def environment(device: str) -> Environment:
    """The environment of this process, at the end of a step.

    Args:
        device: ``train.device`` of the configuration.

    Raises:
        ConfigurationError: This machine has no such device.
    """
    import torch

    from sightline.models.device import choose_device

    on_gpu = choose_device(device).type == "cuda"
    return Environment(
        device=device_name(device),
        accelerators=torch.cuda.device_count() if on_gpu else 0,
        threads=torch.get_num_threads(),
        host=socket.gethostname(),
        system=f"{platform.system()} {platform.release()}, {platform.machine()}",
        python=platform.python_version(),
        torch=str(torch.__version__),
        sightline=__version__,
        memory_gb=_peak_memory_bytes() / _GIB,
        gpu_memory_gb=torch.cuda.max_memory_allocated() / _GIB if on_gpu else None,
    )


def use_own_cpus() -> None:
    """Let torch use the CPUs of this container, not all of the machine, unless ``OMP_NUM_THREADS`` says otherwise.

    With more threads than CPUs, they wait for each other, and latencies say nothing.
    """
    import torch

    from sightline.data.loading.workers import available_cpus

    if not os.environ.get("OMP_NUM_THREADS"):
        torch.set_num_threads(min(torch.get_num_threads(), available_cpus()))


def device_name(device: str) -> str:
    """Name of the GPU, or of the processor if there is none or another device is configured.

    Args:
        device: ``train.device`` of the configuration.

    Raises:
        ConfigurationError: This machine has no such device.
    """
    import torch

    from sightline.models.device import choose_device

    return torch.cuda.get_device_name() if choose_device(device).type == "cuda" else processor_name()


def processor_name() -> str:
    """The model name of the processor, or its architecture if the system does not provide a name."""
    listing = Path("/proc/cpuinfo")
    lines = listing.read_text(encoding="utf-8", errors="replace").splitlines() if listing.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()


def _peak_memory_bytes() -> int:
    """Peak memory of this process; Linux reports kB, macOS bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
