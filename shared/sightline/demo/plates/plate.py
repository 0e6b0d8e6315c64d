"""A flat plate in its own coordinates: text, colors and layout.

The unit is the height of a digit of the main text.  The origin is the center of the plate, x points right and y down::

    two lines (r_board)            one line (l_board)
    +-----------------+            +-----------------------------+
    |     1 2 a       | r_s_n      | 1 2 a      3 4 5 6          |
    |   3 4 5 6       | r_m_n      | l_s_n      l_m_n            |
    +-----------------+            +-----------------------------+
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from sightline.demo.canvas import Colour, Points
from sightline.demo.plates.glyphs import glyph

Kind = Literal["r_board", "l_board"]

DIGITS = "0123456789"
LETTERS = "abcde"
TEXT_LABELS: dict[Kind, tuple[str, str]] = {"r_board": ("r_s_n", "r_m_n"), "l_board": ("l_s_n", "l_m_n")}
"""Labels of the sub text box and the main text box of each kind of plate."""

COLOURS: tuple[tuple[Colour, Colour], ...] = (
    ((238, 240, 236), (24, 26, 30)),
    ((28, 104, 62), (244, 246, 240)),
    ((242, 190, 34), (28, 24, 20)),
    ((186, 218, 240), (20, 26, 44)),
)
"""Background and text colors: private, old private, commercial, electric."""

_STRETCH = {"b": 0.95, "d": 0.95, "a": 1.2, "c": 1.2, "e": 1.2}
"""Scale of lower-case letters, which are nearly as tall as digits on real plates."""

_NARROW = 0.82
"""Scale of glyph widths, because fonts on plates are narrower than DejaVu Sans Bold."""

_GAP = 0.17
_SUB_HEIGHT = 0.72
_BOX_PADDING = 0.09


@dataclass(frozen=True, slots=True)
class Shape:
    """A labeled polygon.

    Attributes:
        label: Class name.
        points: Outline, (N, 2), in plate coordinates, or in pixels after projection to an image.
        holes: Contours inside it, painted in the background color; not part of the annotation.
    """

    label: str
    points: Points
    holes: tuple[Points, ...] = ()


@dataclass(frozen=True, slots=True)
class Plate:
    """A plate in its own coordinates.

    Attributes:
        kind: ``r_board`` has two lines, ``l_board`` one.
        sub: Two digits and a letter.
        main: Four digits.
        width: Width of the board, in heights of a main digit.
        height: Height of the board, in heights of a main digit.
        ground: Color of the board.
        paint: Color of the characters and the border.
        board: Outline of the board, with rounded corners.
        texts: The two text boxes, sub first.
        characters: The characters, in the order of ``sub + main``.
    """

    kind: Kind
    sub: str
    main: str
    width: float
    height: float
    ground: Colour
    paint: Colour
    board: Shape
    texts: tuple[Shape, Shape]
    characters: tuple[Shape, ...]

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """All labeled shapes: board, text boxes, characters."""
        return (self.board, *self.texts, *self.characters)


def random_plate(rng: np.random.Generator, contrast: float) -> Plate:
    """Choose kind, text and colors at random; all digits and all letters are equally likely.

    Args:
        rng: Source of all random choices.
        contrast: Remaining share of the contrast of the colors, 0 to 1.

    Returns:
        The plate, with its text laid out.
    """
    kind: Kind = "r_board" if rng.random() < 0.5 else "l_board"
    digits = [DIGITS[i] for i in rng.integers(len(DIGITS), size=6)]
    sub = "".join(digits[:2]) + LETTERS[int(rng.integers(len(LETTERS)))]
    main = "".join(digits[2:])
    ground, paint = COLOURS[int(rng.integers(len(COLOURS)))]
    return lay_out(kind, sub, main, ground, _mix(paint, ground, contrast))


def lay_out(kind: Kind, sub: str, main: str, ground: Colour, paint: Colour) -> Plate:
    """Lay out the characters, the text boxes around them and the board around those."""
    sub_height = _SUB_HEIGHT if kind == "r_board" else 1.0
    sub_line, main_line = _line(sub, sub_height), _line(main, 1.0)
    sub_width, main_width = _right(sub_line), _right(main_line)
    if kind == "r_board":
        width, height = max(main_width, sub_width) + 0.8, 1.0 + sub_height + 0.88
        top = -height / 2 + 0.31
        sub_at = (-sub_width / 2, top + sub_height)
        main_at = (-main_width / 2, top + sub_height + 0.28 + 1.0)
    else:
        width, height = sub_width + main_width + 0.5 + 0.9, 1.74
        sub_at = (-width / 2 + 0.45, 0.5)
        main_at = (sub_at[0] + sub_width + 0.5, 0.5)
    sub_shapes = [_moved(shape, sub_at) for shape in sub_line]
    main_shapes = [_moved(shape, main_at) for shape in main_line]
    labels = TEXT_LABELS[kind]
    return Plate(
        kind=kind,
        sub=sub,
        main=main,
        width=width,
        height=height,
        ground=ground,
        paint=paint,
        board=Shape(kind, rounded_rectangle(width, height, 0.22)),
        texts=(Shape(labels[0], _box_around(sub_shapes)), Shape(labels[1], _box_around(main_shapes))),
        characters=(*sub_shapes, *main_shapes),
    )


def rounded_rectangle(width: float, height: float, radius: float, centre: tuple[float, float] = (0.0, 0.0)) -> Points:
    """Outline of an axis-aligned rectangle with rounded corners, (16, 2)."""
    angles = np.deg2rad(np.array([0.0, 30.0, 60.0, 90.0]))
    arc = radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    inner = np.array([width / 2 - radius, height / 2 - radius])
    lower_right = inner + arc
    lower_left = (lower_right * (-1, 1))[::-1]
    outline: Points = np.concatenate([lower_right, lower_left, -lower_right, -lower_left]) + np.array(centre)
    return outline


def _line(text: str, height: float) -> list[Shape]:
    """Lay out ``text`` on the baseline from x = 0; a 1 is as wide as any other digit."""
    cell = glyph("0").width * _NARROW * height
    shapes: list[Shape] = []
    left = 0.0
    for character in text:
        outline = glyph(character)
        stretch = _STRETCH.get(character, 1.0) * height
        wide = _NARROW * stretch
        room = max(cell, outline.width * wide)
        shift = (left + (room - outline.width * wide) / 2, 0.0)
        scale = np.array([wide, stretch])
        shapes.append(Shape(character, outline.outer * scale + shift, tuple(h * scale + shift for h in outline.holes)))
        left += room + _GAP * height
    return shapes


def _right(line: list[Shape]) -> float:
    return max(float(shape.points[:, 0].max()) for shape in line)


def _moved(shape: Shape, by: tuple[float, float]) -> Shape:
    return Shape(shape.label, shape.points + by, tuple(hole + by for hole in shape.holes))


def _box_around(shapes: list[Shape]) -> Points:
    points = np.concatenate([shape.points for shape in shapes])
    (left, top), (right, bottom) = points.min(axis=0) - _BOX_PADDING, points.max(axis=0) + _BOX_PADDING
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)])


def _mix(colour: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = (round(a * share + b * (1 - share)) for a, b in zip(colour, other, strict=True))
    return red, green, blue
