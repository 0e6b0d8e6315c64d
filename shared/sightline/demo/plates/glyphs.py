"""Outlines of characters from the font DejaVu Sans Bold, which is part of matplotlib."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sightline.demo.canvas import Points

CAP_HEIGHT = 0.729
"""Height of a digit in this font, in em."""

MIN_POINTS, MAX_POINTS = 24, 40
"""Minimum and maximum number of points of an outline; long edges are split, and curves are flattened coarsely."""

_FONT_SIZE = 100.0
_MOVE, _LINE, _QUADRATIC = 1, 2, 3


@dataclass(frozen=True, slots=True)
class Glyph:
    """One character, in units of the digit height, with its left edge at x = 0 and the baseline at y = 0.

    Attributes:
        outer: Outer contour, without a repeated last point.
        holes: Contours inside it, such as the eye of a 9.
        width: Extent in x.
    """

    outer: Points
    holes: tuple[Points, ...]
    width: float


@functools.cache
def glyph(character: str) -> Glyph:
    """The outline of one character.

    Args:
        character: A character in one piece: a digit or a letter except i and j, but not a blank.

    Returns:
        Its contours with flattened curves; ``outer`` has 24 to 40 points.
    """
    from matplotlib import get_data_path
    from matplotlib.ft2font import FT2Font, LoadFlags

    # The font file is opened by path, because matplotlib's font manager would first list all fonts of the machine.
    font = FT2Font(str(Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSans-Bold.ttf"))
    font.set_size(_FONT_SIZE, 72)
    font.load_char(ord(character), flags=LoadFlags.NO_HINTING)
    vertices, codes = font.get_path()
    for steps in (3, 2, 1):
        contours = sorted(_contours(vertices, codes, steps), key=lambda contour: -abs(signed_area(contour)))
        if len(contours[0]) <= MAX_POINTS:
            break
    left = contours[0][:, 0].min()
    unit = CAP_HEIGHT * _FONT_SIZE
    scaled = [np.stack([(c[:, 0] - left) / unit, -c[:, 1] / unit], axis=1) for c in contours]
    return Glyph(_split_long_edges(scaled[0]), tuple(scaled[1:]), float(scaled[0][:, 0].max()))


def signed_area(points: Points) -> float:
    """Area of a polygon by the shoelace formula; the sign gives the orientation."""
    x, y = points[:, 0], points[:, 1]
    return 0.5 * float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)))


def _contours(vertices: Points, codes: NDArray[np.integer], steps: int) -> list[Points]:
    """Flatten a path of lines and quadratic curves, with ``steps`` points per curve."""
    contours: list[list[Points]] = []
    times = (np.arange(steps) + 1)[:, None] / steps
    index = 0
    while index < len(codes):
        code = codes[index]
        if code == _MOVE:
            contours.append([vertices[index : index + 1]])
        elif code == _LINE:
            contours[-1].append(vertices[index : index + 1])
        elif code == _QUADRATIC:
            start, control, end = contours[-1][-1][-1], vertices[index], vertices[index + 1]
            contours[-1].append((1 - times) ** 2 * start + 2 * times * (1 - times) * control + times**2 * end)
            index += 1
        index += 1
    return [_without_repeats(np.concatenate(contour)) for contour in contours]


def _without_repeats(points: Points) -> Points:
    distinct = np.any(np.abs(points - np.roll(points, 1, axis=0)) > 1e-9, axis=1)
    return points[distinct]


def _split_long_edges(points: Points) -> Points:
    while len(points) < MIN_POINTS:
        ends = np.roll(points, -1, axis=0)
        longest = int(np.argmax(np.linalg.norm(ends - points, axis=1)))
        points = np.insert(points, longest + 1, (points[longest] + ends[longest]) / 2, axis=0)
    return points
