"""What waits for a tracker that is reached over a network or written by a program of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["parameters", "metrics", "images", "curves", "model", "end"]


@dataclass(slots=True)
class Record:
    """Something to record.

    Attributes:
        kind: What it is.
        iteration: The number of completed iterations when it was logged.
        milliseconds: The time when it was logged, since 1970.
        values: Its content, which depends on the kind.
        name: Its name, if the kind has one.
        is_done: Whether it was recorded or refused.
        attempts: How often it could not be recorded.
    """

    kind: Kind
    iteration: int
    milliseconds: int
    values: Any
    name: str = ""
    is_done: bool = False
    attempts: int = 0

    def document(self) -> dict[str, Any]:
        """The record as a line of a :class:`~sightline.tracking.lines.LineFile`."""
        return {
            "kind": self.kind,
            "iteration": self.iteration,
            "milliseconds": self.milliseconds,
            "values": self.values,
            "name": self.name,
        }
