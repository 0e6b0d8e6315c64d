"""Selection of the device for torch."""

from __future__ import annotations

import torch

from sightline.errors import ConfigurationError


def choose_device(name: str) -> torch.device:
    """The device with this name; ``auto`` is the first GPU if there is one, else the CPU.

    Raises:
        ConfigurationError: ``cuda`` is requested on a machine without a usable GPU.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigurationError(
            "device cuda was requested, but torch finds no GPU here; use train.device=auto, or run on a node with a GPU"
        )
    return torch.device(name)
