"""Selection of the device for torch."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path

import torch

from sightline.errors import ConfigurationError, StepError

RETRY_SECONDS = 10.0
"""Time to wait for a GPU that was assigned to this container, but cannot be used yet."""

_log = logging.getLogger(__name__)


def choose_device(name: str) -> torch.device:
    """The device with this name; ``auto`` is the first GPU if there is one, else the CPU.

    Raises:
        ConfigurationError: ``cuda`` is requested on a machine without a usable GPU.
        StepError: A GPU was assigned to this container, but torch cannot use it.
    """
    if name == "cpu":
        return torch.device("cpu")
    if _finds_gpu():
        return torch.device("cuda")
    if name == "cuda":
        raise ConfigurationError(
            "device cuda was requested, but torch finds no GPU here; use train.device=auto, or run on a node with a GPU"
        )
    return torch.device("cpu")


def gpu_was_assigned(environment: Mapping[str, str] = os.environ, devices: Path = Path("/dev")) -> bool:
    """Whether this container was started with a GPU, whether or not torch can use it.

    The device plugin of Kubernetes and the container toolkit set ``NVIDIA_VISIBLE_DEVICES``, or add device files.

    Args:
        environment: The environment variables.
        devices: The folder with device files.
    """
    if environment.get("CUDA_VISIBLE_DEVICES", "0") in {"", "-1"}:  # hidden on purpose
        return False
    assigned = environment.get("NVIDIA_VISIBLE_DEVICES", "")
    if assigned not in {"", "all", "none", "void"}:
        return True
    in_container = assigned == "all" or "KUBERNETES_SERVICE_HOST" in environment
    return in_container and any(devices.glob("nvidia[0-9]*"))


def _finds_gpu() -> bool:
    """Whether torch finds a GPU; one that was assigned to this container gets a second chance."""
    if torch.cuda.is_available():
        return True
    if not gpu_was_assigned():
        return False
    _log.warning(
        "a GPU was assigned to this container, but torch does not find it; trying again in %g s", RETRY_SECONDS
    )
    time.sleep(RETRY_SECONDS)
    if torch.cuda.is_available():
        return True
    built = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "built without CUDA"
    raise StepError(
        f"a GPU was assigned to this container, but torch {torch.__version__} ({built}) finds no CUDA device; check "
        "the driver of the node with nvidia-smi, or use train.device=cpu to compute without it"
    )
