"""Training curves as JSON lines, which any program can read."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sightline import strict_json
from sightline.files import write_atomically
from sightline.tracking.base import Tracker
from sightline.tracking.description import TrackedTraining

METRICS_FILE = "metrics.jsonl"


class TextTracker(Tracker):
    """Appends lines such as ``{"iteration": 20, "loss": 1.2}`` to ``metrics.jsonl``, one per call.

    Args:
        training: The training.  Lines after its ``resume_iteration`` are dropped, as is an incomplete last line.
    """

    def __init__(self, training: TrackedTraining) -> None:
        path = training.folder / METRICS_FILE
        lines = [line for line in read_metrics(path) if line["iteration"] <= training.resume_iteration]
        write_atomically(path, "".join(json.dumps(line) + "\n" for line in lines))
        self._stream = path.open("a", encoding="utf-8")

    def log_metrics(self, iteration: int, values: Mapping[str, float]) -> None:
        """See :meth:`sightline.tracking.Tracker.log_metrics`."""
        self._stream.write(json.dumps({"iteration": iteration, **values}, allow_nan=False) + "\n")
        self._stream.flush()

    def close(self) -> None:
        """See :meth:`sightline.tracking.Tracker.close`."""
        if not self._stream.closed:
            os.fsync(self._stream.fileno())
            self._stream.close()


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of ``metrics.jsonl`` up to the first incomplete line, which a killed process may leave.

    Args:
        path: The file; if it does not exist, there are no lines.
    """
    if not path.is_file():
        return []
    lines = []
    for line in path.read_bytes().splitlines(keepends=True):
        try:
            document = strict_json.decode(line)
        except ValueError:
            break
        if not line.endswith(b"\n") or not isinstance(document, dict) or "iteration" not in document:
            break
        lines.append(document)
    return lines


TRACKER = TextTracker
