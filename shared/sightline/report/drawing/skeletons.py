"""Draws keypoints and the limbs between them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from sightline.data.label_schema import KeypointSchema

Colour = tuple[int, int, int]

LEFT: Colour = (255, 140, 0)
RIGHT: Colour = (0, 150, 255)
MIDDLE: Colour = (60, 200, 90)
_OUTLINE: Colour = (20, 20, 20)
_HOLLOW: Colour = (255, 255, 255)


def side_colours(schema: KeypointSchema) -> list[Colour]:
    """The color of each keypoint: orange for the first of its flip pair, blue for the second, green without a pair."""
    colours = [MIDDLE] * len(schema.names)
    for first, second in schema.flip_pairs:
        colours[first], colours[second] = LEFT, RIGHT
    return colours


def limb_colour(colours: Sequence[Colour], limb: tuple[int, int]) -> Colour:
    """The color of a limb: that of its side if one of its ends has a side and the other has the same or none."""
    sides = {colours[end] for end in limb} - {MIDDLE}
    return sides.pop() if len(sides) == 1 else MIDDLE


def draw_skeletons(
    image: Image.Image, keypoints: npt.NDArray[np.floating], visibility: npt.NDArray[np.integer], schema: KeypointSchema
) -> Image.Image:
    """Draw the keypoints of objects on a copy of the image: limbs as lines, visible joints filled, hidden ones hollow.

    Args:
        image: RGB.
        keypoints: float [N, K, 2], pixels of the image.
        visibility: int [N, K]: 2 visible, 1 hidden, 0 not drawn.
        schema: The keypoints.
    """
    canvas = image.convert("RGB").copy()
    pen = ImageDraw.Draw(canvas)
    line = max(2, round(max(canvas.size) / 240))
    colours = side_colours(schema)
    for points, seen in zip(keypoints.tolist(), visibility.tolist(), strict=True):
        for limb in schema.skeleton:
            if all(seen[end] for end in limb):
                pen.line([tuple(points[end]) for end in limb], limb_colour(colours, limb), line)
        for (x, y), state, colour in zip(points, seen, colours, strict=True):
            if state:
                _joint(pen, x, y, colour, radius=1.5 * line, hollow=state == 1)
    return canvas


def _joint(pen: ImageDraw.ImageDraw, x: float, y: float, colour: Colour, *, radius: float, hollow: bool) -> None:
    box = (x - radius, y - radius, x + radius, y + radius)
    if hollow:
        pen.ellipse(box, _HOLLOW, colour, max(1, round(radius / 2)))
    else:
        pen.ellipse(box, colour, _OUTLINE, 1)
