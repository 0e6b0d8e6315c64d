"""Durations as readable text."""

from __future__ import annotations


def duration_text(seconds: float) -> str:
    """Format a duration in hours, minutes or seconds.

    Example:
        >>> duration_text(68_400), duration_text(185), duration_text(42), duration_text(0.44)
        ('19 h 00 min', '3 min 05 s', '42 s', '0.4 s')
    """
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes == 0:
        return f"{rest} s"
    hours, minutes_left = divmod(minutes, 60)
    return f"{hours} h {minutes_left:02d} min" if hours else f"{minutes} min {rest:02d} s"
