"""Human-readable numbers and times for pages and the terminal."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from sightline import durations

NOTHING = "\N{EN DASH}"
"""Placeholder for a missing value."""


def metric_text(value: float | None, digits: int = 3) -> str:
    """A metric or a loss for a table; a dash if there is none."""
    if value is None or not math.isfinite(value):
        return NOTHING
    return f"{value:.{digits}f}"


def significant_text(value: float | None) -> str:
    """A number that may be large or small, such as GFLOPs: whole from 10 on, else two significant digits.

    Example:
        >>> [significant_text(value) for value in (0.0182, 3.04, 231.4)]
        ['0.018', '3', '231']
    """
    if value is None or not math.isfinite(value):
        return NOTHING
    return count_text(value) if abs(value) >= 10 else f"{value:.2g}"


def count_text(value: float) -> str:
    """A count with separated thousands."""
    return f"{round(value):,}".replace(",", "\u202f")


def duration_text(seconds: float | None) -> str:
    """A duration such as ``1 h 02 min`` or ``0.4 s``; a dash if there is none."""
    return NOTHING if seconds is None else durations.duration_text(seconds)


def moment_text(moment: datetime) -> str:
    """A point in time in UTC, to the minute."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}"
