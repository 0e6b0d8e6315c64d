"""Stopping a training that no longer improves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sightline.config.hooks import EarlyStopping
from sightline.engine.hooks.base import Hook
from sightline.plural import counted

if TYPE_CHECKING:
    from sightline.engine.state import Training


class EarlyStoppingHook(Hook):
    """Stops after validations without a gain, or when the target is reached.

    Args:
        settings: The section ``train.hooks.early_stopping``.
    """

    def __init__(self, settings: EarlyStopping) -> None:
        self._settings = settings
        self._best: float | None = None
        self._waited = 0

    def after_validation(self, training: Training) -> None:
        """Compare the metric with the best one so far."""
        name, settings = training.settings.best_metric, self._settings
        value = training.metrics[name]
        if self._best is None or value > self._best + settings.min_gain:
            self._best, self._waited = value, 0
        else:
            self._waited += 1
        if settings.target and value >= settings.target:
            training.stop(f"{name} {value:.4f} has reached the target {settings.target:g}")
        elif settings.patience and self._waited >= settings.patience:
            training.stop(f"{name} has not improved on {self._best:.4f} in {counted(self._waited, 'validation')}")

    def state_dict(self) -> dict[str, Any]:
        """The best value, and the validations since then."""
        return {"best": self._best, "waited": self._waited}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore :meth:`state_dict`."""
        self._best, self._waited = state["best"], state["waited"]


def make_hook(settings: EarlyStopping) -> EarlyStoppingHook | None:
    """The hook; None if it is off."""
    return EarlyStoppingHook(settings) if settings.patience or settings.target else None
