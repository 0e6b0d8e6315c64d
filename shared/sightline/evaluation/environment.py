"""Where a step computed: device, threads, versions, and how much memory it took."""

from __future__ import annotations

import platform
import resource
import socket
import sys
from pathlib import Path

from sightline.registry.results import Environment
from sightline.version import __version__

_GIB = 2**30


def environment(device: str) -> Environment:
    """This process, at the end of a step.

    Args:
        device: ``train.device`` of the configuration.

    Raises:
        ConfigurationError: There is no such device here.
    """
    import torch

    from sightline.models.device import choose_device

    on_gpu = choose_device(device).type == "cuda"
    return Environment(
        device=torch.cuda.get_device_name() if on_gpu else processor_name(),
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


def processor_name() -> str:
    """What the processor calls itself; the architecture where the system does not say."""
    listing = Path("/proc/cpuinfo")
    lines = listing.read_text(encoding="utf-8", errors="replace").splitlines() if listing.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()


def _peak_memory_bytes() -> int:
    """Of this process; Linux counts in kB, macOS in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
