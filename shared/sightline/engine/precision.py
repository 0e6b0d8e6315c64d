"""The precision of the computation: automatic mixed precision, with scaled losses for float16."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import nn

from sightline.errors import ConfigurationError

_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": None}


class Precision:
    """Autocasting and scaling of losses; weights, gradients and optimizer state are always float32.

    Args:
        name: ``auto``, ``fp32``, ``bf16`` or ``fp16``.
        device: The device of the training.

    Attributes:
        name: The precision that is used; never ``auto``.

    Raises:
        ConfigurationError: The device cannot compute with this precision.
    """

    def __init__(self, name: str, device: torch.device) -> None:
        self.name = self._chosen(name, device)
        self._device = device
        self._type = _TYPES[self.name]
        self._scaler = torch.amp.GradScaler(device.type, enabled=self.name == "fp16")

    @staticmethod
    def _chosen(name: str, device: torch.device) -> str:
        if device.type != "cuda":
            return "fp32" if name == "auto" else name
        has_bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
        if name == "bf16" and not has_bf16:
            raise ConfigurationError(
                f"train.precision: {torch.cuda.get_device_name(device)} has no bf16; set train.precision to auto"
            )
        if name == "auto":
            return "bf16" if has_bf16 else "fp16"
        return name

    def autocast(self) -> AbstractContextManager[Any]:
        """The context of a forward pass and its losses."""
        return torch.autocast(self._device.type, self._type, enabled=self._type is not None)

    def backward(self, loss: torch.Tensor) -> None:
        """Add the gradients of a loss, scaled for float16."""
        self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]

    def unscale(self, optimizer: torch.optim.Optimizer) -> None:
        """Divide the gradients by the scale, before they are clipped."""
        self._scaler.unscale_(optimizer)

    def step(self, optimizer: torch.optim.Optimizer) -> None:
        """A step of the optimizer; with float16 it is left out, and the scale lowered, if a gradient overflowed."""
        self._scaler.step(optimizer)
        self._scaler.update()

    def skip(self) -> None:
        """Leave out a step: float16 forgets the gradients that were unscaled, and lowers the scale."""
        if self._scaler.is_enabled():
            self._scaler.update()

    @property
    def tolerates_overflow(self) -> bool:
        """Whether gradients that are not finite are ordinary, because the scale may be too large."""
        return bool(self._scaler.is_enabled() and self._scaler.get_scale() > 1)

    def state_dict(self) -> dict[str, float]:
        """The state of the scale for a checkpoint."""
        return dict(self._scaler.state_dict())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore :meth:`state_dict`; a checkpoint of another precision has none."""
        if state and self._scaler.is_enabled():
            self._scaler.load_state_dict(state)


def clip_gradients(network: nn.Module, limit: float) -> torch.Tensor:
    """Scale the gradients down to a norm of at most ``limit`` (0: no limit); returns the norm before."""
    norm: torch.Tensor = nn.utils.clip_grad_norm_(network.parameters(), limit or float("inf"))
    return norm
