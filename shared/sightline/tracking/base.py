"""The interface between the training loop and its trackers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from sightline.config.train import TRACKER_NAMES
from sightline.names import NameTable

TRACKERS = NameTable("tracker", dict.fromkeys(TRACKER_NAMES, "sightline.tracking.*:TRACKER"))
"""Makes a tracker from a folder and the iteration to resume after."""


class Tracker(Protocol):
    """Records training curves."""

    def log_metrics(self, iteration: int, values: Mapping[str, float]) -> None:
        """Add one point to each named curve.

        Args:
            iteration: Number of completed iterations, from 1.
            values: Finite numbers by name, such as ``loss`` or ``val/mask_AP``.
        """

    def close(self) -> None:
        """Flush and close the files."""


class TrackerGroup:
    """A tracker that forwards to several trackers.

    Args:
        trackers: The trackers.
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
            raise ValueError(f"metrics at iteration {iteration} must be finite numbers, got {bad}")
        for tracker in self._trackers:
            tracker.log_metrics(iteration, values)

    def close(self) -> None:
        """See :meth:`Tracker.close`."""
        for tracker in self._trackers:
            tracker.close()


def open_trackers(names: Sequence[str], folder: Path, *, resume_iteration: int = 0) -> Tracker:
    """Open the trackers with these names as one.

    Args:
        names: Names in :data:`TRACKERS`; may be empty.
        folder: Output folder; created if it does not exist.
        resume_iteration: The iteration of the checkpoint that training resumes from; values that a killed process
            logged after it are dropped.  0: a new training.

    Raises:
        ConfigurationError: A name is unknown, or a required package is not installed.
    """
    makers: list[Callable[[Path, int], Tracker]] = [TRACKERS.load(name, "train.trackers") for name in names]
    folder.mkdir(parents=True, exist_ok=True)
    return TrackerGroup([make(folder, resume_iteration) for make in makers])
