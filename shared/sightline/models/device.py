"""Where networks are computed."""

from __future__ import annotations

import torch

from sightline.errors import ConfigurationError


def choose_device(name: str) -> torch.device:
    """The device of that name; ``auto`` is the first GPU where there is one, else the CPU.

    Raises:
        ConfigurationError: ``cuda`` is asked for on a machine without a usable GPU.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigurationError(
            "device cuda was requested, but torch finds no GPU here; use train.device=auto, or run on a node with one"
        )
    return torch.device(name)
