"""Values with intervals, placed on a common axis for the templates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeGuard

from sightline.report.charts import ticks
from sightline.report.sections import Interval, IntervalsSection
from sightline.report.wording import NOTHING

_MINUS = "\N{MINUS SIGN}"
_MARGIN = 0.04
"""Free space on both sides of the axis, as a share of its length."""


@dataclass(frozen=True, slots=True)
class IntervalRow:
    """One value.

    Attributes:
        interval: The value and its interval.
        text: The value as text.
        range_text: The interval as text; empty if there is none, or if it has no length.
        dot: Position of the value on the axis in percent; None if it is unknown.
        left: Position of the lower end.
        width: Length of the interval in percent; None if there is none.
    """

    interval: Interval
    text: str
    range_text: str
    dot: float | None
    left: float
    width: float | None


@dataclass(frozen=True, slots=True)
class IntervalsView:
    """A section of intervals.

    Attributes:
        section: The measured values.
        rows: The values.
        ticks: Position in percent and label of each tick of the axis.
        reference: Position of the reference in percent; None if there is none.
        reference_text: Its value as text.
    """

    section: IntervalsSection
    rows: list[IntervalRow]
    ticks: list[tuple[float, str]]
    reference: float | None
    reference_text: str


def intervals_view(section: IntervalsSection) -> IntervalsView | None:
    """Place the values on an axis that contains all of them; None if there are no values."""
    if not any(_finite(row.value) for row in section.rows):
        return None
    known = [value for row in section.rows for value in (row.value, row.low, row.high)]
    axis = _Axis.around([value for value in (*known, section.reference) if _finite(value)])
    reference, signed = section.reference, section.signed
    return IntervalsView(
        section,
        [_row(row, axis, signed=signed) for row in section.rows],
        [(axis.place(value), f"{value:g}".replace("-", _MINUS)) for value in axis.ticks()],
        axis.place(reference) if _finite(reference) else None,
        _text(reference, signed=signed),
    )


@dataclass(frozen=True, slots=True)
class _Axis:
    low: float
    high: float

    @classmethod
    def around(cls, values: Sequence[float]) -> _Axis:
        low, high = min(values), max(values)
        margin = _MARGIN * (high - low) or abs(high) / 2 or 1.0
        return cls(low - margin, high + margin)

    def place(self, value: float) -> float:
        """The position of a value in percent."""
        return round(100 * (value - self.low) / (self.high - self.low), 2)

    def ticks(self) -> list[float]:
        """At most four round values."""
        found = ticks(self.low, self.high)
        return found[:: math.ceil(len(found) / 4)]


def _row(interval: Interval, axis: _Axis, *, signed: bool) -> IntervalRow:
    text = _text(interval.value, signed=signed)
    if not (_finite(interval.value) and _finite(interval.low) and _finite(interval.high)):
        return IntervalRow(interval, text, "", axis.place(interval.value) if _finite(interval.value) else None, 0, None)
    left = axis.place(interval.low)
    low, high = (_text(end, signed=signed) for end in (interval.low, interval.high))
    return IntervalRow(
        interval,
        text,
        f"{low} to {high}" if interval.low < interval.high else "",
        axis.place(interval.value),
        left,
        round(axis.place(interval.high) - left, 2),
    )


def _finite(value: float | None) -> TypeGuard[float]:
    return value is not None and math.isfinite(value)


def _text(value: float | None, *, signed: bool) -> str:
    """Three digits after the point, or three significant digits of a large value; a dash if there is none."""
    if not _finite(value):
        return NOTHING
    sign = "+" if signed else ""
    text = f"{value:{sign}.3f}" if abs(value) < 100 else f"{value:{sign}.0f}"
    return text.replace("-", _MINUS)
