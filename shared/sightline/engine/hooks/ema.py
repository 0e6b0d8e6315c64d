"""An exponential moving average of the weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from sightline.config.hooks import Ema
from sightline.engine.hooks.base import Hook

if TYPE_CHECKING:
    from sightline.engine.state import Training

_PREFIX = "weights."


class EmaHook(Hook):
    """Averages weights and buffers after each step; validations and candidates use the average.

    The first average is the network after the first step.  With the warm-up, step ``n`` has the decay
    ``min(decay, (1 + n) / (10 + n))``, as in TensorFlow's ``ExponentialMovingAverage``.

    Args:
        settings: The section ``train.hooks.ema``.
    """

    def __init__(self, settings: Ema) -> None:
        self._settings = settings
        self._average: AveragedModel | None = None
        self._state: dict[str, Any] = {}
        self._steps = 0

    def decay_at(self, step: int) -> float:
        """The weight of the old average in a step, from 1."""
        if not self._settings.warmup:
            return self._settings.decay
        return min(self._settings.decay, (1 + step) / (10 + step))

    def before_training(self, training: Training) -> None:
        """Copy the network, and restore the average of a checkpoint."""

        def average(old: Any, new: Any, count: Any) -> None:  # noqa: ANN401  (lists of tensors and a counter)
            get_ema_multi_avg_fn(self.decay_at(self._steps))(old, new, count)  # type: ignore[no-untyped-call]

        self._average = AveragedModel(training.network, multi_avg_fn=average, use_buffers=True)
        if self._state:
            self._average.module.load_state_dict(self._state)
            self._average.n_averaged.fill_(self._steps)
            self._state = {}
        training.evaluated = self._average.module

    def after_optimizer_step(self, training: Training) -> None:
        """Take the new weights into the average."""
        assert self._average is not None  # noqa: S101
        self._steps += 1
        self._average.update_parameters(training.network)

    def state_dict(self) -> dict[str, Any]:
        """The average, and the number of steps in it."""
        weights: dict[str, torch.Tensor] = {} if self._average is None else self._average.module.state_dict()
        return {"steps": self._steps} | {f"{_PREFIX}{name}": tensor for name, tensor in weights.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Keep the average of a checkpoint until the network is known."""
        self._steps = state["steps"]
        self._state = {name.removeprefix(_PREFIX): value for name, value in state.items() if name.startswith(_PREFIX)}


def make_hook(settings: Ema) -> EmaHook | None:
    """The hook; None if it is off."""
    return EmaHook(settings) if settings.decay else None
