"""The geometry of labelme's shapes: outline, pixels, box and area.

Pixels and areas are those of COCO's run-length polygons (:mod:`sightline.data.rasterizer`).  The box of an outline is
the extent of its part inside the image; the box of a mask is that of its pixels, from the left border of the first to
the right border of the last, so that both are comparable.  labelme's own converters draw with Pillow, which includes
the border, and differ by one pixel.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sightline.data.formats.coco import RunLengthEncoding, Segmentation
from sightline.data.formats.labelme.document import Shape, decode_base64
from sightline.data.images import UnreadableImageError, open_mask
from sightline.data.rasterizer import covered_area, covered_box, encode_mask, encode_outline, union

Point = tuple[float, float]
Outline = tuple[Point, ...]
Extent = tuple[float, float, float, float]
"""``(left, top, right, bottom)`` in pixels."""

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


@dataclass(frozen=True, slots=True)
class Region:
    """The part of one shape inside the image.

    Attributes:
        extent: Extent of the outline within the image, or of a mask's pixels.
        pixels: The covered pixels.
        outline: The polygon within the image, flattened ``[x1, y1, x2, y2, ...]``; None for the kind ``mask``.
    """

    extent: Extent
    pixels: RunLengthEncoding
    outline: list[float] | None


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


def is_flat(outline: Outline) -> bool:
    """Whether all points are on one line and enclose no area; a self-crossing polygon is not flat."""
    x0, y0 = outline[0]
    offsets = [(x - x0, y - y0) for x, y in outline]
    dx, dy = max(offsets, key=lambda offset: math.hypot(*offset))
    length = math.hypot(dx, dy)
    return length == 0 or all(abs(dx / length * y - dy / length * x) <= 1e-9 * length for x, y in offsets)


def extent(shape: Shape) -> Extent:
    """The extent of a shape with finite points, before clipping."""
    if shape.kind == "circle":
        (x, y), radius = shape.points[0], _radius(shape)
        return x - radius, y - radius, x + radius, y + radius
    left, top, right, bottom = _extent(outline_of(shape))
    if shape.kind == "mask":
        return round(left), round(top), round(right) + 1, round(bottom) + 1
    return left, top, right, bottom


def clip(outline: Outline, left: float, top: float, right: float, bottom: float) -> Outline:
    """The part of a polygon inside a rectangle (Sutherland and Hodgman, 1974); empty if there is none.

    Parts of a concave polygon stay connected by edges along the rectangle's border, which cover no pixel.
    """
    for axis, bound, sign in ((0, left, 1.0), (0, right, -1.0), (1, top, 1.0), (1, bottom, -1.0)):
        outline = _clip_side(outline, axis, bound, sign)
    return outline


def region_of(shape: Shape, width: int, height: int, max_pixels: int) -> Region | None:
    """The part of a shape inside an image of ``width`` x ``height`` pixels; None if it covers no pixel of the image.

    Raises:
        ValueError: The PNG of a shape of kind ``mask`` cannot be used; the message says why.
    """
    if shape.kind == "mask":
        return _mask_region(shape, width, height, max_pixels)
    outline = outline_of(shape)
    visible = left, top, right, bottom = _extent(outline)
    if left < 0 or top < 0 or right > width or bottom > height:
        visible = _visible_extent(outline, width, height)
        outline = clip(outline, 0.0, 0.0, float(width), float(height))
    if len(outline) < 3 or is_flat(outline):
        return None
    flattened = [coordinate for point in outline for coordinate in point]
    pixels = encode_outline([flattened], height, width)
    return Region(visible, pixels, flattened) if covered_area(pixels) else None


Joined = tuple[Segmentation, tuple[float, float, float, float], float]
"""Segmentation, box ``(x, y, width, height)`` and number of pixels of an instance."""


def corners(box: tuple[float, float, float, float]) -> Extent:
    """Left, top, right and bottom of a box ``(x, y, width, height)``."""
    x, y, width, height = box
    return x, y, x + width, y + height


def join(regions: list[Region]) -> Joined:
    """Join the shapes of one instance.

    Returns:
        Segmentation: every shape's polygon, or one run-length encoding if any of the shapes is a mask; the box
        ``(x, y, width, height)`` around their extents; the number of pixels.
    """
    lefts, tops, rights, bottoms = zip(*(region.extent for region in regions), strict=True)
    left, top = min(lefts), min(tops)
    pixels = union([region.pixels for region in regions])
    outlines = [region.outline for region in regions if region.outline is not None]
    segmentation: Segmentation = outlines if len(outlines) == len(regions) else pixels
    return segmentation, (left, top, max(rights) - left, max(bottoms) - top), covered_area(pixels)


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


def _extent(outline: Outline) -> Extent:
    xs, ys = [x for x, _ in outline], [y for _, y in outline]
    return min(xs), min(ys), max(xs), max(ys)


def _visible_extent(outline: Outline, width: int, height: int) -> Extent:
    """The extent of the visible part of a polygon; :func:`clip` would also include connecting edges."""
    points = [point for index, end in enumerate(outline) for point in _cut(outline[index - 1], end, width, height)]
    corners = ((0.0, 0.0), (float(width), 0.0), (0.0, float(height)), (float(width), float(height)))
    points += [corner for corner in corners if _contains(outline, corner)]
    return _extent(tuple(points)) if points else (0.0, 0.0, 0.0, 0.0)


def _cut(start: Point, end: Point, width: int, height: int) -> Iterator[Point]:
    """The ends of the part of an edge inside the image (Liang and Barsky, 1984)."""
    first, last = 0.0, 1.0
    for axis, bound in ((0, float(width)), (1, float(height))):
        step = end[axis] - start[axis]
        if step == 0:
            if not 0 <= start[axis] <= bound:
                return
            continue
        low, high = sorted(((0 - start[axis]) / step, (bound - start[axis]) / step))
        first, last = max(first, low), min(last, high)
    if first <= last:
        for share in (first, last):
            x, y = (start[axis] + share * (end[axis] - start[axis]) for axis in (0, 1))
            yield min(max(x, 0.0), float(width)), min(max(y, 0.0), float(height))


def _contains(outline: Outline, point: Point) -> bool:
    """Whether a point is inside a polygon, by the even-odd rule of COCO's run-length polygons."""
    x, y = point
    inside = False
    for index, (x2, y2) in enumerate(outline):
        x1, y1 = outline[index - 1]
        if (y1 > y) != (y2 > y) and x < x1 + (y - y1) / (y2 - y1) * (x2 - x1):
            inside = not inside
    return inside


def _clip_side(outline: Outline, axis: int, bound: float, sign: float) -> Outline:
    kept: list[Point] = []
    for index, point in enumerate(outline):
        before = outline[index - 1]
        inside, was_inside = sign * (point[axis] - bound) >= 0, sign * (before[axis] - bound) >= 0
        if inside != was_inside:
            part = (bound - before[axis]) / (point[axis] - before[axis])
            other = before[1 - axis] + part * (point[1 - axis] - before[1 - axis])
            kept.append((bound, other) if axis == 0 else (other, bound))
        if inside:
            kept.append(point)
    return tuple(kept)


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
    return Region((float(x), float(y), float(x + box_width), float(y + box_height)), encoded, None)


def _mask_pixels(shape: Shape, max_pixels: int) -> NDArray[np.bool_]:
    if shape.mask is None:
        raise ValueError("shape type mask needs a 'mask', got null")
    try:
        return open_mask(decode_base64(shape.mask, "mask"), max_pixels)
    except UnreadableImageError as error:
        raise ValueError(f"the PNG in 'mask' cannot be used: {error.reason}") from error
