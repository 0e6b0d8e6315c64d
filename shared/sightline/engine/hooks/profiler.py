"""A trace of some iterations."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from torch import profiler

from sightline.config.hooks import Profiler
from sightline.engine.hooks.base import Hook

if TYPE_CHECKING:
    from sightline.engine.state import Training

_log = logging.getLogger(__name__)


class ProfilerHook(Hook):
    """Records the iterations ``first`` to ``first + iterations - 1`` of the first process.

    Args:
        settings: The section ``train.hooks.profiler``.
    """

    def __init__(self, settings: Profiler) -> None:
        self._settings = settings
        self._profile: profiler.profile | None = None

    def before_step(self, training: Training) -> None:
        """Begin recording."""
        if training.group.is_first and training.state.iteration == self._settings.first:
            self._profile = profiler.profile(record_shapes=True, profile_memory=True)
            self._profile.start()

    def after_step(self, training: Training) -> None:
        """End recording, and write the trace."""
        if self._profile is None or training.state.iteration < self._settings.first + self._settings.iterations - 1:
            return
        self._finish(training)

    def after_training(self, training: Training) -> None:
        """Write the trace of a training that was shorter than the recording."""
        if self._profile is not None:
            self._finish(training)

    def _finish(self, training: Training) -> None:
        assert self._profile is not None  # noqa: S101
        self._profile.stop()
        path = training.files / "profile" / f"iteration-{self._settings.first}.json"
        path.parent.mkdir(exist_ok=True)
        self._profile.export_chrome_trace(str(path))
        _log.info("trace of %d iterations: %s", self._settings.iterations, path)
        self._profile = None


def make_hook(settings: Profiler) -> ProfilerHook | None:
    """The hook; None if it is off."""
    return ProfilerHook(settings) if settings.iterations else None
