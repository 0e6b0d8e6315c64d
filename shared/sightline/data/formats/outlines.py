"""The geometry of outlines: the pixels, box and area of their part inside the image.

Pixels and areas are those of COCO's run-length polygons (:mod:`sightline.data.rasterizer`).  The box of an outline is
the extent of its part inside the image; the box of a mask is that of its pixels, from the left border of the first to
the right border of the last, so that both are comparable.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from sightline.data.formats.coco import RunLengthEncoding, Segmentation
from sightline.data.rasterizer import covered_area, encode_outline, rectangle_area, union

Point = tuple[float, float]
Outline = tuple[Point, ...]
Extent = tuple[float, float, float, float]
"""``(left, top, right, bottom)`` in pixels."""

Joined = tuple[Segmentation, tuple[float, float, float, float], float]
"""Segmentation, box ``(x, y, width, height)`` and number of pixels of an instance."""


@dataclass(frozen=True, slots=True)
class Region:
    """The part of one shape inside the image.

    Attributes:
        extent: Extent of the outline within the image, or of a mask's pixels.
        pixels: The covered pixels.
        area: Number of covered pixels.
        outline: The polygon within the image, flattened ``[x1, y1, x2, y2, ...]``; None for the kind ``mask``.
    """

    extent: Extent
    pixels: RunLengthEncoding
    area: float
    outline: list[float] | None


def extent_of(outline: Outline) -> Extent:
    """Left, top, right and bottom of an outline."""
    xs, ys = zip(*outline, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def corners(box: tuple[float, float, float, float]) -> Extent:
    """Left, top, right and bottom of a box ``(x, y, width, height)``."""
    x, y, width, height = box
    return x, y, x + width, y + height


def is_flat(outline: Outline, extent: Extent | None = None) -> bool:
    """Whether all points are on one line and enclose no area; a self-crossing polygon is not flat.

    Args:
        outline: The polygon.
        extent: Its extent, if it is known.
    """
    if _spans_triangle(outline, extent or extent_of(outline)):
        return False
    x0, y0 = outline[0]
    offsets = [(x - x0, y - y0) for x, y in outline]
    dx, dy = max(offsets, key=lambda offset: math.hypot(*offset))
    length = math.hypot(dx, dy)
    return length == 0 or all(abs(dx / length * y - dy / length * x) <= 1e-9 * length for x, y in offsets)


def _spans_triangle(outline: Outline, extent: Extent) -> bool:
    """Whether three of the points, chosen without a search, show that a polygon is not flat."""
    (x0, y0), (x1, y1), (x2, y2) = outline[0], outline[len(outline) // 3], outline[2 * len(outline) // 3]
    left, top, right, bottom = extent
    twice_area = abs((x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0))
    return twice_area > 1e-8 * ((right - left) ** 2 + (bottom - top) ** 2)


def sides(outline: Outline) -> Extent | None:
    """The sides of a rectangle that is drawn from its upper left corner clockwise; None if an outline is none, or flat.

    Example:
        >>> sides(((1, 2), (5, 2), (5, 4), (1, 4)))
        (1, 2, 5, 4)
    """
    if len(outline) != 4:
        return None
    (left, top), (x2, y2), (right, bottom), (x4, y4) = outline
    if left != x4 or top != y2 or right != x2 or bottom != y4 or not (left < right and top < bottom):
        return None
    width, height = right - left, bottom - top
    return (left, top, right, bottom) if width * height > 1e-8 * (width**2 + height**2) else None


def outline_region(outline: Outline, width: int, height: int) -> Region | None:
    """The part of a polygon inside an image of ``width`` x ``height`` pixels; None if it covers no pixel of it.

    The polygon must not be flat; see :func:`is_flat`.
    """
    visible = left, top, right, bottom = extent_of(outline)
    if left < 0 or top < 0 or right > width or bottom > height:
        visible = _visible_extent(outline, width, height)
        outline = clip(outline, 0.0, 0.0, float(width), float(height))
        if len(outline) < 3 or is_flat(outline):
            return None
    flattened = list(chain.from_iterable(outline))
    pixels = encode_outline([flattened], height, width)
    area = covered_area(pixels)
    return Region(visible, pixels, area, flattened) if area else None


def clip(outline: Outline, left: float, top: float, right: float, bottom: float) -> Outline:
    """The part of a polygon inside a rectangle (Sutherland and Hodgman, 1974); empty if there is none.

    Parts of a concave polygon stay connected by edges along the rectangle's border, which cover no pixel.
    """
    for axis, bound, sign in ((0, left, 1.0), (0, right, -1.0), (1, top, 1.0), (1, bottom, -1.0)):
        outline = _clip_side(outline, axis, bound, sign)
    return outline


def join(regions: list[Region]) -> Joined:
    """Join the shapes of one instance.

    Returns:
        Segmentation: every shape's polygon, or one run-length encoding if any of the shapes is a mask; the box
        ``(x, y, width, height)`` around their extents; the number of pixels.
    """
    if len(regions) == 1:
        only = regions[0]
        left, top, right, bottom = only.extent
        return [only.outline] if only.outline else only.pixels, (left, top, right - left, bottom - top), only.area
    lefts, tops, rights, bottoms = zip(*(region.extent for region in regions), strict=True)
    left, top = min(lefts), min(tops)
    pixels = union([region.pixels for region in regions])
    outlines = [region.outline for region in regions if region.outline is not None]
    segmentation: Segmentation = outlines if len(outlines) == len(regions) else pixels
    return segmentation, (left, top, max(rights) - left, max(bottoms) - top), covered_area(pixels)


def join_rectangle(extent: Extent) -> Joined | None:
    """What :func:`join` makes of a rectangle inside the image; None if it covers no pixel."""
    left, top, right, bottom = extent
    area = rectangle_area(left, top, right, bottom)
    box = left, top, right - left, bottom - top
    return ([[left, top, right, top, right, bottom, left, bottom]], box, area) if area else None


def _visible_extent(outline: Outline, width: int, height: int) -> Extent:
    """The extent of the visible part of a polygon; :func:`clip` would also include connecting edges."""
    points = [point for index, end in enumerate(outline) for point in _cut(outline[index - 1], end, width, height)]
    corners = ((0.0, 0.0), (float(width), 0.0), (0.0, float(height)), (float(width), float(height)))
    points += [corner for corner in corners if _contains(outline, corner)]
    return extent_of(tuple(points)) if points else (0.0, 0.0, 0.0, 0.0)


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
