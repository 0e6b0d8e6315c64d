"""The charts of sections: lines, histograms, and small plots of classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sightline.report.charts import SERIES_COLOURS, Chart, Series, line_chart, stacked_chart
from sightline.report.sections import ChartsSection, CurvesSection, Histogram, HistogramsSection, LineChart

MAX_CLASSES = 100
"""Maximum number of classes with curves, and of classes in a confusion matrix that is shown completely."""

_Y_LIMITS = (0, 1.03)


@dataclass(frozen=True, slots=True)
class ClassCurve:
    """The small plot of one class.

    Attributes:
        name: Name of the class.
        paths: Name of a line of this class -> SVG path data in a square of 100 x 100; empty if there is no curve.
        values: Name of the line -> the number beside it; None if it was not measured.
    """

    name: str
    paths: dict[str, str]
    values: dict[str, float | None]


@dataclass(frozen=True, slots=True)
class CurvesView:
    """A section of curves.

    Attributes:
        section: The measured values.
        mean: Chart of the mean over all classes.
        curves: One entry per class that has a curve; if there are too many, the classes with the lowest numbers.
        hidden: Number of classes that have a curve and are not in ``curves``.
        shared: Whether a class has several lines, so that all but the first are dashed.
        colours: Name of the line -> the index of its color.
    """

    section: CurvesSection
    mean: Chart
    curves: list[ClassCurve]
    hidden: int
    shared: bool
    colours: dict[str, int]


def charts_view(section: ChartsSection, key: str) -> list[Chart]:
    """The charts of a section that have a line; ``key`` is the prefix of HTML ids."""
    return [drawn for chart in section.charts if (drawn := _chart(f"{key} {chart.key}", chart))]


def histograms_view(section: HistogramsSection, key: str) -> list[tuple[Chart, str]]:
    """The histograms of a section, each with its note; ``key`` is the prefix of HTML ids."""
    return [(_histogram(f"{key} {one.key}", one), one.note) for one in section.histograms if any(one.bars.values())]


def _histogram(key: str, histogram: Histogram) -> Chart:
    return stacked_chart(key, histogram.title, histogram.bars, x_label=histogram.x_label, y_label=histogram.y_label)


def _chart(key: str, chart: LineChart) -> Chart | None:
    lines = [
        _line(name, values, x=chart.x) for name, values in chart.lines.items() if any(v is not None for v in values)
    ]
    if not lines:
        return None
    if chart.diagonal:
        lines.append(Series(chart.diagonal, [0.0, 1.0], [0.0, 1.0], dashed=True))
    return line_chart(
        key,
        chart.title,
        lines,
        x_label=chart.x_label,
        y_label=chart.y_label,
        y_limits=_Y_LIMITS,
        x_limits=(0, 1),
        mark=(chart.mark.x, chart.mark.text) if chart.mark else None,
    )


def _line(name: str, values: Sequence[float | None], *, dashed: bool = False, x: Sequence[float] = ()) -> Series:
    steps = max(1, len(values) - 1)
    places = x or [index / steps for index in range(len(values))]
    points = [(place, value) for place, value in zip(places, values, strict=False) if value is not None]
    return Series(name, [x for x, _ in points], [y for _, y in points], dashed)


def curves_view(section: CurvesSection, key: str) -> CurvesView | None:
    """The curves of a section; None if there are none.  ``key`` is the prefix of HTML ids."""
    names = dict.fromkeys(name for curves in section.lines.values() for name in curves)
    shared = len(names) < sum(len(of_class) for of_class in section.lines.values())
    curves = [_class_curve(section, name, everything=shared) for name in names]
    mean = _mean(section, f"{key} mean", dashed=shared)
    if mean is None:
        return None
    shown = curves if len(curves) <= MAX_CLASSES else sorted(curves, key=_lowest_value)[:MAX_CLASSES]
    colours = {line: place % SERIES_COLOURS for place, line in enumerate(section.lines)}
    return CurvesView(section, mean, shown, len(curves) - len(shown), shared, colours)


def _class_curve(section: CurvesSection, name: str, *, everything: bool) -> ClassCurve:
    """The curve of one class: all lines, or only those that have the class."""
    lines = [line for line, of_class in section.lines.items() if everything or name in of_class]
    return ClassCurve(
        name,
        {line: curve_path(section.lines[line].get(name, [])) for line in lines},
        {line: section.values.get(line, {}).get(name) for line in lines},
    )


def _mean(section: CurvesSection, key: str, *, dashed: bool) -> Chart | None:
    lines: list[Series] = []
    for name, curves in section.lines.items():
        columns = list(zip(*curves.values(), strict=False))
        if columns:
            lines.append(_line(name, [sum(column) / len(column) for column in columns], dashed=dashed and bool(lines)))
    if not lines:
        return None
    return line_chart(
        key,
        section.mean_title,
        lines,
        x_label=section.x_label,
        y_label=section.y_label,
        y_limits=_Y_LIMITS,
        x_limits=(0, 1),
    )


def curve_path(values: Sequence[float]) -> str:
    """SVG path data of equally spaced values (0 to 1), in a square of 100 x 100 with y pointing down.

    Points on the straight line between their neighbors are left out.
    """
    last = max(1, len(values) - 1)
    points = [(100 * index / last, 100 - 100 * value) for index, value in enumerate(values)]
    kept = [
        point
        for index, point in enumerate(points)
        if index in (0, len(points) - 1) or abs(points[index - 1][1] - 2 * point[1] + points[index + 1][1]) > 1e-6
    ]
    return "M" + "L".join(f"{x:g},{round(y, 2):g}" for x, y in kept) if kept else ""


def _lowest_value(curve: ClassCurve) -> float:
    return next((value for value in curve.values.values() if value is not None), 1.0)
