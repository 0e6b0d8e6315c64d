"""Draw docs/images/divided.svg, the picture of dv_mAP in docs/evaluation.md, with the functions that compute it.

Run ``python docs/draw_divided.py``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from sightline.data.rasterizer import encode_outline
from sightline.metrics.divided import slice_boxes, slice_ious
from sightline.metrics.outlines import outlines

PICTURE = Path(__file__).parent / "images" / "divided.svg"

SIDE, PANEL, TOP = 160, 216, 40
"""Width and height of the example in pixels; distance of the panels, and their place in the picture."""

TRUTH = [20.0, 20.0, 140.0, 20.0, 20.0, 140.0]
FOUND = [20.0, 20.0, 140.0, 20.0, 140.0, 140.0, 20.0, 140.0]
"""A triangle, detected as a square in exactly the right box."""

STYLE = """\
.truth, .found { fill: none; stroke: #1c2733; stroke-width: 1.8 }
.found { stroke-dasharray: 5 3 }
.g0 { stroke: #1b7f4d; color: #1b7f4d }
.g1 { stroke: #c2571a; color: #c2571a }
.g2 { stroke: #4263c7; color: #4263c7 }
.point { fill: #1c2733 }
.found.point { fill: #ffffff; stroke-dasharray: none; stroke-width: 1.2 }
text { fill: #1c2733; font-size: 12px; text-anchor: middle }
tspan[class] { fill: currentColor; stroke: none; font-weight: 600 }
.title { font-size: 12.5px; font-weight: 600 }
.side { text-anchor: start }
@media (prefers-color-scheme: dark) {
.truth, .found { stroke: #dbe4ee }
.g0 { stroke: #58c48d; color: #58c48d }
.g1 { stroke: #f0935a; color: #f0935a }
.g2 { stroke: #8fa9f7; color: #8fa9f7 }
.point { fill: #dbe4ee }
.found.point { fill: #10161d }
text { fill: #dbe4ee }
}
"""


def picture() -> str:
    """The SVG document."""
    masks = [encode_outline([polygon], SIDE, SIDE) for polygon in (TRUTH, FOUND)]
    (true_points, found_points), _ = outlines(masks)
    true, found = slice_boxes(masks)
    ious = slice_ious(true, found)
    panels = [
        ("1. 30 points on each outline", _polygon(TRUTH, "truth") + _polygon(FOUND, "found")
         + _dots(true_points, "truth") + _dots(found_points, "found"), "IoU of the boxes: 1.00"),
        ("2. sorted by x, 3 groups", _boxes(true[:3], "truth") + _boxes(found[:3], "found"), _shown(ious[:3])),
        ("3. sorted by y, 3 groups", _boxes(true[3:], "truth") + _boxes(found[3:], "found"), _shown(ious[3:])),
    ]  # fmt: skip
    width, height = 3 * PANEL + 10, TOP + SIDE + 62
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        "aria-labelledby=\"title description\" font-family=\"system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif\">",
        '<title id="title">How dv_mAP compares two outlines</title>',
        '<desc id="description">A triangle is detected as a square with the same box. Points on both outlines are '
        "sorted by x and split into three groups, and likewise by y. The boxes of the groups of the triangle differ "
        "from those of the square, so the detection is not a true positive.</desc>",
        f"<style>\n{STYLE}</style>",
    ]
    for number, (title, drawn, caption) in enumerate(panels):
        left = 30 + number * PANEL
        parts.append(f'<text class="title" x="{left + SIDE / 2:g}" y="24">{title}</text>')
        parts.append(f'<g transform="translate({left} {TOP})">{drawn}</g>')
        parts.append(f'<text x="{left + SIDE / 2:g}" y="{TOP + SIDE + 16}">{caption}</text>')
    for left, kind, name in ((width / 2 - 130, "truth", "truth"), (width / 2 + 20, "found", "detection")):
        y = TOP + SIDE + 42
        parts.append(f'<path class="{kind}" d="M{left:g},{y}h28"/>')
        parts.append(f'<text class="side" x="{left + 36:g}" y="{y + 4}">{name}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _polygon(corners: list[float], kind: str) -> str:
    points = " ".join(f"{x:g},{y:g}" for x, y in zip(corners[::2], corners[1::2], strict=True))
    return f'<polygon class="{kind}" points="{points}"/>'


def _dots(points: npt.NDArray[np.float64], kind: str) -> str:
    return "".join(f'<circle class="{kind} point" cx="{x:.1f}" cy="{y:.1f}" r="2.4"/>' for x, y in points)


def _boxes(slices: npt.NDArray[np.float64], kind: str) -> str:
    rectangles = []
    for group, (left, top, right, bottom) in enumerate(slices):
        size = f'width="{right - left:.1f}" height="{bottom - top:.1f}"'
        rectangles.append(f'<rect class="{kind} g{group}" x="{left:.1f}" y="{top:.1f}" {size}/>')
    return "".join(rectangles)


def _shown(ious: npt.NDArray[np.float64]) -> str:
    return "IoU: " + ", ".join(f'<tspan class="g{group}">{iou:.2f}</tspan>' for group, iou in enumerate(ious))


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
