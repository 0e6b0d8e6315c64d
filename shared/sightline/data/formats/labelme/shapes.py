"""The geometry of labelme's shapes: outline, pixels, box and area.

Pixels, areas and boxes are those of :mod:`sightline.data.formats.outlines`.  labelme's own converters draw with Pillow,
which includes the border, and differ by one pixel.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sightline.data.formats.labelme.document import Shape, decode_base64
from sightline.data.formats.outlines import Extent, Outline, Point, Region, extent_of, outline_region
from sightline.data.images import UnreadableImageError, open_mask
from sightline.data.rasterizer import covered_area, covered_box, encode_mask

_POINTS: dict[str, tuple[int, ...]] = {
    "rectangle": (2, 4),
    "oriented_rectangle": (4,),
    "rotation": (4,),
    "quadrilateral": (4,),
    "circle": (2,),
    "mask": (2,),
}
"""Allowed numbers of points.  ``rotation`` and ``quadrilateral`` are X-AnyLabeling's: four corners in order."""

AREA_KINDS = ("polygon", *_POINTS)
"""Shape types that cover an area."""

LINE_KINDS = ("line", "linestrip", "point", "points")
"""Shape types without an area, which are not instances.  All other types are unknown."""

_SAGITTA = 0.02
"""Maximum distance of a circle's polygon from the arc, in pixels."""

_MAX_CIRCLE_POINTS = 4096


def wrong_points(shape: Shape) -> tuple[str, bool] | None:
    """The fault of a shape's number of points, and whether so few points enclose no area; None if it is valid."""
    count = len(shape.points)
    if shape.kind == "polygon":
        return (f"a polygon needs at least 3 points, found {count}", True) if count < 3 else None
    allowed = _POINTS[shape.kind]
    if count in allowed:
        return None
    reason = f"shape type {shape.kind} needs {' or '.join(map(str, allowed))} points, found {count}"
    return reason, count < 2


def outline_of(shape: Shape) -> Outline:
    """The outline of a shape with finite points, before clipping; for a mask, its box.

    A circle (center, point on the circle) becomes a polygon that stays within 0.02 pixels of the arc and touches the
    four sides of the circle's box.
    """
    if shape.kind == "circle":
        return _circle(shape.points[0], _radius(shape))
    if shape.kind in ("rectangle", "mask") and len(shape.points) == 2:
        (x1, y1), (x2, y2) = shape.points
        left, right, top, bottom = min(x1, x2), max(x1, x2), min(y1, y2), max(y1, y2)
        return ((left, top), (right, top), (right, bottom), (left, bottom))
    return shape.points


def extent(shape: Shape) -> Extent:
    """The extent of a shape with finite points, before clipping."""
    if shape.kind == "circle":
        (x, y), radius = shape.points[0], _radius(shape)
        return x - radius, y - radius, x + radius, y + radius
    left, top, right, bottom = extent_of(outline_of(shape))
    if shape.kind == "mask":
        return round(left), round(top), round(right) + 1, round(bottom) + 1
    return left, top, right, bottom


def region_of(shape: Shape, width: int, height: int, max_pixels: int) -> Region | None:
    """The part of a shape inside an image of ``width`` x ``height`` pixels; None if it covers no pixel of the image.

    Raises:
        ValueError: The PNG of a shape of kind ``mask`` cannot be used; the message says why.
    """
    if shape.kind == "mask":
        return _mask_region(shape, width, height, max_pixels)
    return outline_region(outline_of(shape), width, height)


def _radius(shape: Shape) -> float:
    (x1, y1), (x2, y2) = shape.points
    return math.hypot(x2 - x1, y2 - y1)


def _circle(center: Point, radius: float) -> Outline:
    if radius == 0:
        return (center,) * 3
    # The sagitta of an edge is r (1 - cos(pi / n)).
    wanted = math.pi / max(math.acos(max(1 - _SAGITTA / radius, -1.0)), math.pi / _MAX_CIRCLE_POINTS)
    count = max(4 * math.ceil(wanted / 4), 32)
    angles = 2 * math.pi / count * np.arange(count)
    xs, ys = center[0] + radius * np.sin(angles), center[1] + radius * np.cos(angles)
    return tuple(zip(xs.tolist(), ys.tolist(), strict=True))


def _mask_region(shape: Shape, width: int, height: int, max_pixels: int) -> Region | None:
    pixels = _mask_pixels(shape, max_pixels)
    corners = np.rint(np.array(outline_of(shape))).astype(np.int64)
    (x1, y1), (x2, y2) = corners[0].tolist(), corners[2].tolist()
    rows, columns = pixels.shape
    # labelme rounds each corner separately, so the box may differ from the mask's size by one pixel.
    slack = 0 if all(value.is_integer() for point in shape.points for value in point) else 1
    if abs(x2 - x1 + 1 - columns) > slack or abs(y2 - y1 + 1 - rows) > slack:
        raise ValueError(f"the mask has {columns} x {rows} pixels, but its box {x2 - x1 + 1} x {y2 - y1 + 1}")
    top, left = max(y1, 0), max(x1, 0)
    inside = pixels[top - y1 : max(height - y1, 0), left - x1 : max(width - x1, 0)]
    if not inside.any():
        return None
    canvas = np.zeros((height, width), dtype=np.uint8, order="F")
    canvas[top : top + inside.shape[0], left : left + inside.shape[1]] = inside
    encoded = encode_mask(canvas)
    x, y, box_width, box_height = covered_box(encoded)
    extent = float(x), float(y), float(x + box_width), float(y + box_height)
    return Region(extent, encoded, covered_area(encoded), None)


def _mask_pixels(shape: Shape, max_pixels: int) -> NDArray[np.bool_]:
    if shape.mask is None:
        raise ValueError("shape type mask needs a 'mask', got null")
    try:
        return open_mask(decode_base64(shape.mask, "mask"), max_pixels)
    except UnreadableImageError as error:
        raise ValueError(f"the PNG in 'mask' cannot be used: {error.reason}") from error
