"""The interface between the training loop and its trackers."""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from sightline.errors import ConfigurationError

TRACKERS: dict[str, tuple[str, str]] = {
    "tensorboard": ("sightline.tracking.tensorboard", "TensorBoardTracker"),
    "text": ("sightline.tracking.text", "TextTracker"),
}
"""Name -> (module, class), imported on use; the class takes ``(folder, resume_iteration)``."""


class Tracker(Protocol):
    """Where training curves go."""

    def log_metrics(self, iteration: int, values: Mapping[str, float]) -> None:
        """Add one point to each named curve.

        Args:
            iteration: Iterations done, from 1.
            values: Finite numbers by name, such as ``loss`` or ``val/mask_AP``.
        """

    def close(self) -> None:
        """Write what is left and let go of the files."""


class TrackerGroup:
    """Several trackers as one.

    Args:
        trackers: All of them are told everything.
    """

    def __init__(self, trackers: Sequence[Tracker]) -> None:
        self._trackers = tuple(trackers)

    def log_metrics(self, iteration: int, values: Mapping[str, float]) -> None:
        """See :meth:`Tracker.log_metrics`.

        Raises:
            ValueError: A value is not finite.
        """
        bad = {name: value for name, value in values.items() if not math.isfinite(value)}
        if bad:
            raise ValueError(f"metrics at iteration {iteration} must be finite numbers, but {bad} are not")
        for tracker in self._trackers:
            tracker.log_metrics(iteration, values)

    def close(self) -> None:
        """See :meth:`Tracker.close`."""
        for tracker in self._trackers:
            tracker.close()


def open_trackers(names: Sequence[str], folder: Path, *, resume_iteration: int = 0) -> Tracker:
    """Open the trackers of these names as one.

    Args:
        names: Of :data:`TRACKERS`; may be empty.
        folder: Where they write; created where it does not exist.
        resume_iteration: The iteration of the checkpoint that training goes on from; what was logged after it by a
            killed process is dropped.  0: training begins.

    Raises:
        ConfigurationError: An unknown name, or a tracker that is not installed.
    """
    unknown = sorted(set(names) - set(TRACKERS))
    if unknown:
        raise ConfigurationError(
            f"train.trackers: unknown {', '.join(map(repr, unknown))}; choose from {', '.join(TRACKERS)}"
        )
    folder.mkdir(parents=True, exist_ok=True)
    trackers = []
    for name in names:
        module, kind = TRACKERS[name]
        trackers.append(getattr(importlib.import_module(module), kind)(folder, resume_iteration))
    return TrackerGroup(trackers)
