"""Numbers as a person reads them, on pages and on a terminal."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from sightline import durations

NOTHING = "\N{EN DASH}"
"""Stands where there is no value."""


def metric_text(value: float | None, digits: int = 3) -> str:
    """A metric or a loss for a table: a dash where there is none."""
    if value is None or not math.isfinite(value):
        return NOTHING
    return f"{value:.{digits}f}"


def count_text(value: float) -> str:
    """A number of things, thousands apart."""
    return f"{round(value):,}".replace(",", "\u202f")


def duration_text(seconds: float | None) -> str:
    """Seconds as a person says them, such as ``1 h 02 min`` or ``0.4 s``; a dash where there are none."""
    return NOTHING if seconds is None else durations.duration_text(seconds)


def moment_text(moment: datetime) -> str:
    """When something happened, in UTC, to the minute."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}"
