"""Line charts as SVG in the colors and font of the page; each line carries its values for the page's script."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sightline.report.page import slug

if TYPE_CHECKING:
    from markupsafe import Markup

SERIES_COLOURS = 8
"""Number of series colors in the stylesheet (``--series-0`` and so on); further series reuse them, dashed."""

MAX_POINTS = 400
"""Maximum number of points drawn per line: a chart is at most this many pixels wide."""

MAX_ROWS = 12
"""Maximum number of rows in the table of values below a chart."""

_WIDTH, _HEIGHT = 420, 232
_LEFT, _RIGHT, _TOP, _BOTTOM = 66, 12, 12, 42
_TICKS = 6


@dataclass(frozen=True, slots=True)
class Series:
    """One line with its name.

    ``x`` and ``y`` have the same length, at least 1, and ``x`` is increasing.  ``dashed`` keeps lines visible that
    another one may cover.
    """

    name: str
    x: list[float]
    y: list[float]
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawn chart.

    Attributes:
        title: Title of the chart.
        svg: The drawing, safe to insert into a page.
        legend: For every series its name, its color index and whether it is dashed.
        x_label: Name of the x axis.
        rows: Some of the values as text, for readers without JavaScript or a mouse: x, then one value per series.
    """

    title: str
    svg: Markup
    legend: list[tuple[str, int, bool]]
    x_label: str
    rows: list[list[str]]


@dataclass(frozen=True, slots=True)
class _Scale:
    """Maps values to coordinates of the drawing."""

    low: float
    high: float
    start: float
    length: float

    def place(self, value: float) -> float:
        inside = min(max(value, self.low), self.high)
        return round(self.start + (inside - self.low) / (self.high - self.low) * self.length, 1)


def line_chart(
    key: str,
    title: str,
    series: Sequence[Series],
    *,
    x_label: str,
    y_label: str,
    y_limits: tuple[float, float] | None = None,
    x_limits: tuple[float, float] | None = None,
    mark: tuple[float, str] | None = None,
) -> Chart:
    """Draw lines over a common x axis.

    Args:
        key: Unique on the page; the prefix of every id in the drawing.
        title: Title of the chart.
        series: The lines, at least one.
        x_label: Name of the x axis.
        y_label: Name of the y axis.
        y_limits: Lowest and highest y; from the data when absent.
        x_limits: Lowest and highest x; from the data when absent.
        mark: An x value to mark with a vertical line, and its label.

    Returns:
        The chart; the same input gives the same chart.
    """
    from markupsafe import Markup, escape

    lines = [_thinned(line) for line in series]
    x = _scale(x_limits or _range(lines, "x"), _LEFT, _WIDTH - _LEFT - _RIGHT)
    y = _scale(y_limits or _range(lines, "y"), _HEIGHT - _BOTTOM, -(_HEIGHT - _TOP - _BOTTOM))
    parts = [*_axes(x, y, x_label, y_label), *(_line(index, line, x, y) for index, line in enumerate(lines))]
    if mark is not None:
        parts.append(_mark(*mark, x))
    opening = (
        f'<svg class="chart" id="{slug(f"chart {key}")}" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" tabindex="0" '
        f'aria-label="{escape(title)}: {escape(y_label)} over {escape(x_label)}" '
        f'data-chart="{_LEFT} {_WIDTH - _RIGHT} {_number(x.low)} {_number(x.high)}" data-x="{escape(x_label)}">'
    )
    svg = Markup(opening + "".join(parts) + "</svg>")  # noqa: S704 - texts are escaped where they are inserted
    legend = [(line.name, index % SERIES_COLOURS, _dashed(index, line)) for index, line in enumerate(series)]
    return Chart(title, svg, legend, x_label, _rows(lines))


def bar_chart(key: str, title: str, bars: Sequence[tuple[str, float]], *, x_label: str, y_label: str) -> Chart:
    """Draw a bar for each value, such as the bins of a histogram.

    Args:
        key: Unique on the page; the prefix of every id in the drawing.
        title: Title of the chart.
        bars: Name below the bar (empty: none), and its value from 0; at least one.
        x_label: Name of the x axis.
        y_label: Name of the y axis.
    """
    from markupsafe import Markup, escape

    x = _Scale(0, len(bars), _LEFT, _WIDTH - _LEFT - _RIGHT)
    y = _Scale(0, max(value for _, value in bars) or 1, _HEIGHT - _BOTTOM, -(_HEIGHT - _TOP - _BOTTOM))
    bottom = _HEIGHT - _BOTTOM
    parts = _axes(x, y, x_label, y_label, x_ticks=())
    for index, (name, value) in enumerate(bars):
        left, right, top = x.place(index), x.place(index + 1), y.place(value)
        parts.append(
            f'<rect class="bar" x="{left + 1:g}" y="{top:g}" width="{max(right - left - 2, 1):g}" '
            f'height="{bottom - top:g}"><title>{escape(name)}: {_number(value)}</title></rect>'
        )
        if name:
            middle = (left + right) / 2
            parts.append(f'<text class="tick" x="{middle:g}" y="{bottom + 15}">{escape(name)}</text>')
    opening = (
        f'<svg class="chart" id="{slug(f"chart {key}")}" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(title)}: {escape(y_label)} over {escape(x_label)}" '
        f'data-chart="{_LEFT} {_WIDTH - _RIGHT} 0 {len(bars)}">'
    )
    svg = Markup(opening + "".join(parts) + "</svg>")  # noqa: S704 - texts are escaped where they are inserted
    rows = [[name or str(index), _number(value)] for index, (name, value) in enumerate(bars)]
    return Chart(title, svg, [(y_label, 0, False)], x_label, rows)


def stacked_chart(key: str, title: str, bars: Mapping[str, Sequence[float]], *, x_label: str, y_label: str) -> Chart:
    """Draw a histogram over 0 to 1, with the bars of several kinds on top of each other.

    Args:
        key: Unique on the page; the prefix of every id in the drawing.
        title: Title of the chart.
        bars: Name of a kind -> the height of its bar in each bin, 0 or more; at least one kind, all with equally many
            bins.
        x_label: Name of the x axis.
        y_label: Name of the y axis.
    """
    from markupsafe import Markup, escape

    columns = list(zip(*bars.values(), strict=True))
    x = _Scale(0, 1, _LEFT, _WIDTH - _LEFT - _RIGHT)
    y = _Scale(0, 1.05 * max(map(sum, columns), default=0) or 1, _HEIGHT - _BOTTOM, -(_HEIGHT - _TOP - _BOTTOM))
    parts = _axes(x, y, x_label, y_label)
    ranges = [f"{index / len(columns):g} to {(index + 1) / len(columns):g}" for index in range(len(columns))]
    for index, column in enumerate(columns):
        left, right, below = x.place(index / len(columns)), x.place((index + 1) / len(columns)), 0.0
        for place, (name, value) in enumerate(zip(bars, column, strict=True)):
            bottom, top = y.place(below), y.place(below + value)
            below += value
            if value:
                parts.append(
                    f'<rect x="{left + 0.5:g}" y="{top:g}" width="{right - left - 1:g}" height="{bottom - top:.3g}" '
                    f'style="fill:var(--series-{place % SERIES_COLOURS})">'
                    f"<title>{escape(x_label)} {ranges[index]}: {_number(value)} {escape(name)}</title></rect>"
                )
    opening = (
        f'<svg class="chart" id="{slug(f"chart {key}")}" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(title)}: {escape(y_label)} by {escape(x_label)}" '
        f'data-chart="{_LEFT} {_WIDTH - _RIGHT} 0 1">'
    )
    svg = Markup(opening + "".join(parts) + "</svg>")  # noqa: S704 - texts are escaped where they are inserted
    legend = [(name, place % SERIES_COLOURS, False) for place, name in enumerate(bars)]
    rows = [[text, *map(_number, column)] for text, column in zip(ranges, columns, strict=True)]
    return Chart(title, svg, legend, x_label, rows)


def _thinned(line: Series) -> Series:
    """At most :data:`MAX_POINTS` points, evenly spaced, always with the last one."""
    step = math.ceil(len(line.x) / MAX_POINTS)
    kept = [index for index in range(len(line.x)) if (len(line.x) - 1 - index) % step == 0]
    return replace(line, x=[line.x[index] for index in kept], y=[line.y[index] for index in kept])


def _range(lines: Sequence[Series], axis: str) -> tuple[float, float]:
    values = [value for line in lines for value in getattr(line, axis)]
    return min(values), max(values)


def _scale(limits: tuple[float, float], start: float, length: float) -> _Scale:
    low, high = limits
    if low == high:
        low, high = (low - abs(low) / 2, high + abs(high) / 2) if low else (0.0, 1.0)
    return _Scale(low, high, start, length)


def ticks(low: float, high: float) -> list[float]:
    """About six round values from ``low`` to ``high``; the step is 1, 2 or 5 times a power of ten.

    Example:
        >>> ticks(0, 1)
        [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    raw = (high - low) / _TICKS
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{index * step:.10g}") for index in range(first, last + 1)]


def _axes(x: _Scale, y: _Scale, x_label: str, y_label: str, x_ticks: Sequence[float] | None = None) -> list[str]:
    from markupsafe import escape

    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    parts = []
    for value in ticks(y.low, y.high):
        at = y.place(value)
        parts.append(f'<path class="grid" d="M{_LEFT},{at}H{right}"/>')
        parts.append(f'<text class="tick up" x="{_LEFT - 6}" y="{at + 3.5:g}">{_tick(value)}</text>')
    for value in ticks(x.low, x.high) if x_ticks is None else x_ticks:
        at = x.place(value)
        parts.append(f'<path class="grid" d="M{at},{_TOP}V{bottom}"/>')
        parts.append(f'<text class="tick" x="{at}" y="{bottom + 15}">{_tick(value)}</text>')
    parts.append(f'<text class="axis" x="{(_LEFT + right) / 2:g}" y="{_HEIGHT - 6}">{escape(x_label)}</text>')
    middle = (_TOP + bottom) / 2
    parts.append(f'<text class="axis" transform="translate(10 {middle:g}) rotate(-90)">{escape(y_label)}</text>')
    return parts


def _dashed(index: int, line: Series) -> bool:
    return line.dashed or index >= SERIES_COLOURS


def _line(index: int, line: Series, x: _Scale, y: _Scale) -> str:
    from markupsafe import escape

    points = [(x.place(one), y.place(other)) for one, other in zip(line.x, line.y, strict=True)]
    dash = ' stroke-dasharray="5 3"' if _dashed(index, line) else ""
    path = "M" + "L".join(f"{left:g},{top:g}" for left, top in points)
    values = " ".join(f"{_number(one)}:{_number(other)}" for one, other in zip(line.x, line.y, strict=True))
    colour = f"var(--series-{index % SERIES_COLOURS})"
    drawn = f'<path class="line" d="{path}" style="stroke:{colour}"{dash} data-name="{escape(line.name)}" '
    drawn += f'data-values="{values}"/>'
    if len(points) < 16:
        drawn += "".join(f'<circle cx="{left:g}" cy="{top:g}" r="2.6" style="fill:{colour}"/>' for left, top in points)
    return drawn


def _mark(value: float, text: str, x: _Scale) -> str:
    from markupsafe import escape

    at = x.place(value)
    side = "end" if at > (_LEFT + _WIDTH - _RIGHT) / 2 else "start"
    place = at - 5 if side == "end" else at + 5
    return (
        f'<path class="mark" d="M{at:g},{_TOP}V{_HEIGHT - _BOTTOM}"/>'
        f'<text class="mark" x="{place:g}" y="{_HEIGHT - _BOTTOM - 7}" text-anchor="{side}">{escape(text)}</text>'
    )


def _rows(lines: Sequence[Series]) -> list[list[str]]:
    """Values at evenly spaced x; empty where a line has no point."""
    places = sorted({value for line in lines for value in line.x})
    step = math.ceil(len(places) / MAX_ROWS)
    known = [dict(zip(line.x, line.y, strict=True)) for line in lines]
    return [
        [_number(place), *(_number(values[place]) if place in values else "" for values in known)]
        for index, place in enumerate(places)
        if (len(places) - 1 - index) % step == 0
    ]


def _number(value: float) -> str:
    """Four significant digits, or all digits of a whole number."""
    return f"{value:.0f}" if float(value).is_integer() and abs(value) < 1e15 else f"{value:.4g}"


def _tick(value: float) -> str:
    """The label of an axis tick: 20k instead of 20000, 2e-4 instead of 0.0002."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1000 if letter == 'k' else size):g}{letter}"
    if 0 < abs(value) < 0.01:
        mantissa, _, exponent = f"{value:.3e}".partition("e")
        return f"{float(mantissa):g}e{int(exponent)}"
    return f"{value:g}"
