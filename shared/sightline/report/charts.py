"""Line charts as SVG that takes its colours and its font from the page, so that one chart suits light and dark."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sightline.report.page import slug

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.axes import Axes

SERIES_COLOURS = 8
"""How many series colours the stylesheet has (``--series-0`` and so on); further series begin again, dashed."""

# matplotlib writes colours as they are given: these are put down and then replaced by the page's own variables.
_SERIES = "#a1b2{:02x}"
_INK = "#a1b2f0"
_RULE = "#a1b2f1"
_PLACEHOLDER = re.compile(r"#a1b2([0-9a-f]{2})")


@dataclass(frozen=True, slots=True)
class Series:
    """One line: a name and points of equal number, at least one."""

    name: str
    x: list[float]
    y: list[float]


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawn chart.

    Attributes:
        title: What it shows.
        svg: The drawing, safe to put into a page beside other charts with other keys.
        legend: Name, colour index and whether it is dashed, for every series.
    """

    title: str
    svg: Markup
    legend: list[tuple[str, int, bool]]


def line_chart(
    key: str,
    title: str,
    series: Sequence[Series],
    *,
    x_label: str,
    y_limits: tuple[float, float] | None = None,
    x_limits: tuple[float, float] | None = None,
) -> Chart:
    """Draw lines over a common x axis.

    Args:
        key: Unique in the page: it goes before every id of the drawing.
        title: What it shows.
        series: The lines.
        x_label: Name of the x axis.
        y_limits: Lowest and highest y; from the data when absent.
        x_limits: Lowest and highest x; from the data when absent.

    Returns:
        The chart; equal input gives an equal chart.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"svg.fonttype": "none", "svg.hashsalt": key, "font.size": 12}):
        figure = Figure(figsize=(5.4, 3.1), layout="constrained")
        axes = figure.add_subplot()
        figure.patch.set_visible(False)
        axes.patch.set_visible(False)
        for index, line in enumerate(series):
            dash = "--" if index >= SERIES_COLOURS else "-"
            marker = "o" if len(line.x) < 16 else ""
            colour = _SERIES.format(index % SERIES_COLOURS)
            axes.plot(line.x, line.y, dash, color=colour, linewidth=1.8, marker=marker, markersize=3.5)
        axes.set_xlabel(x_label, color=_INK)
        _frame(axes)
        if y_limits:
            axes.set_ylim(*y_limits)
        if x_limits:
            axes.set_xlim(*x_limits)
        drawn = io.StringIO()
        figure.savefig(drawn, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    legend = [(line.name, index % SERIES_COLOURS, index >= SERIES_COLOURS) for index, line in enumerate(series)]
    return Chart(title, _adapted(drawn.getvalue(), slug(key), title), legend)


def _frame(axes: Axes) -> None:
    """Only a grid and the bottom line, in the page's quiet colours."""
    axes.tick_params(colors=_INK, length=0, pad=7)
    axes.grid(color=_RULE, linewidth=0.8)
    axes.set_axisbelow(True)
    for name, spine in axes.spines.items():
        spine.set_visible(name == "bottom")
        spine.set_color(_RULE)


def _adapted(svg: str, prefix: str, title: str) -> Markup:
    """The SVG without what only a file needs, with ids of its own and the page's colours and font."""
    from markupsafe import Markup, escape

    body = svg[svg.index("<svg") :]
    view_box = re.search(r'viewBox="[^"]*"', body)
    body = body[body.index(">") + 1 :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r'\bid="([^"]*)"', rf'id="{prefix}-\1"', body)
    body = re.sub(r"url\(#([^)]*)\)", rf"url(#{prefix}-\1)", body)
    body = re.sub(r'xlink:href="#([^"]*)"', rf'href="#{prefix}-\1"', body)
    body = re.sub(r"font: ([0-9.]+)px [^;\"]*", r"font-size: \1px", body)
    body = re.sub(r"font-family: [^;\"]*;? ?", "", body)
    body = _PLACEHOLDER.sub(_page_colour, body)
    opening = f'<svg class="chart" role="img" aria-label="{escape(title)}" {view_box[0] if view_box else ""}>'
    return Markup(opening + body.strip())  # noqa: S704 - matplotlib escapes text, the title is escaped above


def _page_colour(found: re.Match[str]) -> str:
    special = {"f0": "var(--muted)", "f1": "var(--rule)"}
    return special.get(found[1]) or f"var(--series-{int(found[1], 16)})"
