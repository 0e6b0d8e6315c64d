"""Training curves as JSON lines, which any program can read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from sightline.tracking.base import Tracker
from sightline.tracking.description import TrackedTraining
from sightline.tracking.lines import LineFile, read_lines

METRICS_FILE = "metrics.jsonl"


class TextTracker(Tracker):
    """Appends lines such as ``{"iteration": 20, "loss": 1.2}`` to ``metrics.jsonl``, one per call.

    Args:
        training: The training.  Lines after its ``resume_iteration`` are dropped, as is an incomplete last line.
    """

    immediate: ClassVar[bool] = True  # a checkpoint must not be ahead of the lines

    def __init__(self, training: TrackedTraining) -> None:
        path = training.folder / METRICS_FILE
        kept = [line for line in read_metrics(path) if line["iteration"] <= training.resume_iteration]
        self._file = LineFile(path, kept)

    def log_metrics(self, iteration: int, values: Mapping[str, float]) -> None:
        """See :meth:`sightline.tracking.Tracker.log_metrics`."""
        self._file.append({"iteration": iteration, **values})

    def close(self) -> None:
        """See :meth:`sightline.tracking.Tracker.close`."""
        self._file.close()


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of ``metrics.jsonl`` up to the first incomplete line; none if the file does not exist."""
    return read_lines(path, "iteration")


TRACKER = TextTracker
