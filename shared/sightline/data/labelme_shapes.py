"""The geometry of labelme's shapes: outline, pixels, box and area, as labelme's own COCO conversion has them.

labelme draws a shape with Pillow (``labelme.utils.shape_to_mask``) and lets pycocotools measure the pixels
(``examples/instance_segmentation/labelme2coco.py``).  The same is done here, on a canvas of the shape's own size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from pycocotools import mask as coco_mask

from sightline.data.coco import RunLengthEncoding, Segmentation
from sightline.data.images import UnreadableImageError, open_mask
from sightline.data.labelme_json import Shape, decode_base64

Point = tuple[float, float]
Outline = tuple[Point, ...]

AREA_KINDS = ("polygon", "rectangle", "oriented_rectangle", "circle", "mask")
"""Shape types that cover an area; the others (line, linestrip, point, points) make no instance."""

_POINTS: dict[str, tuple[int, ...]] = {"rectangle": (2, 4), "oriented_rectangle": (4,), "circle": (2,), "mask": (2,)}

_GUARD = 4096.0
"""Shapes are drawn as they are up to so many pixels outside the image, and cut there; Pillow's lines need whole numbers
of bounded size."""

_MAX_CIRCLE_POINTS = 4096


@dataclass(frozen=True, slots=True)
class Region:
    """The pixels of one shape.

    Attributes:
        left: Column of the first column of ``pixels`` in the image.
        top: Row of the first row of ``pixels`` in the image.
        pixels: ``(height, width)`` bool.
        outline: The polygon within the image, flattened ``[x1, y1, x2, y2, ...]``; None for the kind ``mask``.
    """

    left: int
    top: int
    pixels: NDArray[np.bool_]
    outline: list[float] | None


def wrong_points(shape: Shape) -> str | None:
    """What is wrong with the number of a shape's points; None where it is right."""
    count = len(shape.points)
    if shape.kind == "polygon":
        return f"a polygon needs at least 3 points, found {count}" if count < 3 else None
    allowed = _POINTS[shape.kind]
    if count in allowed:
        return None
    return f"shape type {shape.kind} needs {' or '.join(map(str, allowed))} points, found {count}"


def outline_of(shape: Shape) -> Outline:
    """The outline of a shape with finite points, before it is clipped; of a mask, its box.

    A circle (centre, point on the circle) becomes a polygon whose edges stay within one pixel of the arc; the number
    of points is labelme's.
    """
    if shape.kind == "circle":
        return _circle(shape.points[0], _radius(shape))
    if shape.kind in ("rectangle", "mask") and len(shape.points) == 2:
        (x1, y1), (x2, y2) = shape.points
        left, right, top, bottom = min(x1, x2), max(x1, x2), min(y1, y2), max(y1, y2)
        return ((left, top), (right, top), (right, bottom), (left, bottom))
    return shape.points


def is_flat(outline: Outline) -> bool:
    """Whether all points lie on one line, so that nothing is enclosed; a self-crossing polygon is not flat."""
    x0, y0 = outline[0]
    offsets = [(x - x0, y - y0) for x, y in outline]
    dx, dy = max(offsets, key=lambda offset: math.hypot(*offset))
    length = math.hypot(dx, dy)
    return length == 0 or all(abs(dx / length * y - dy / length * x) <= 1e-9 * length for x, y in offsets)


def extent(shape: Shape) -> tuple[float, float, float, float]:
    """``(left, top, right, bottom)`` of a shape with finite points, in pixels, before it is clipped."""
    if shape.kind == "circle":
        (x, y), radius = shape.points[0], _radius(shape)
        return x - radius, y - radius, x + radius, y + radius
    left, top, right, bottom = _extent(outline_of(shape))
    if shape.kind == "mask":
        return round(left), round(top), round(right) + 1, round(bottom) + 1
    return left, top, right, bottom


def clip(outline: Outline, left: float, top: float, right: float, bottom: float) -> Outline:
    """The part of a polygon inside a rectangle (Sutherland and Hodgman, 1974); empty where nothing is inside.

    Of a concave polygon the parts stay joined by edges along the rectangle's border.
    """
    for axis, bound, sign in ((0, left, 1.0), (0, right, -1.0), (1, top, 1.0), (1, bottom, -1.0)):
        outline = _clip_side(outline, axis, bound, sign)
    return outline


def region_of(shape: Shape, width: int, height: int, max_pixels: int) -> Region | None:
    """The part of a shape inside an image of ``width`` x ``height`` pixels; None where nothing is inside.

    Raises:
        ValueError: The PNG of a shape of kind ``mask`` cannot be used; the message says why.
    """
    if shape.kind == "mask":
        return _mask_region(shape, width, height, max_pixels)
    outline = outline_of(shape)
    left, top, right, bottom = _extent(outline)
    if left < 0 or top < 0 or right > width or bottom > height:
        inside = clip(outline, 0.0, 0.0, float(width), float(height))
        drawn = clip(outline, -_GUARD, -_GUARD, width + _GUARD, height + _GUARD)
    else:
        inside = drawn = outline
    if len(inside) < 3 or is_flat(inside):
        return None
    x0, y0, pixels = _draw(shape, drawn, width, height)
    return Region(x0, y0, pixels, [coordinate for point in inside for coordinate in point]) if pixels.any() else None


def join(
    regions: list[Region], width: int, height: int
) -> tuple[Segmentation, tuple[float, float, float, float], float]:
    """Join the shapes of one instance.

    Returns:
        Segmentation: every shape's polygon, or one run-length encoding as soon as one of them is a mask; the box
        ``(x, y, width, height)`` around the pixels; the number of pixels.
    """
    left, top = min(region.left for region in regions), min(region.top for region in regions)
    right = max(region.left + region.pixels.shape[1] for region in regions)
    bottom = max(region.top + region.pixels.shape[0] for region in regions)
    if len(regions) == 1:
        pixels = regions[0].pixels
    else:
        pixels = np.zeros((bottom - top, right - left), dtype=np.bool_)
        for region in regions:
            rows, columns = region.pixels.shape
            y, x = region.top - top, region.left - left
            pixels[y : y + rows, x : x + columns] |= region.pixels
    columns_used, rows_used = np.flatnonzero(pixels.any(axis=0)), np.flatnonzero(pixels.any(axis=1))
    x, y = left + int(columns_used[0]), top + int(rows_used[0])
    bbox = (
        float(x), float(y),
        float(columns_used[-1] - columns_used[0] + 1), float(rows_used[-1] - rows_used[0] + 1),
    )  # fmt: skip
    outlines = [region.outline for region in regions if region.outline is not None]
    whole = len(outlines) == len(regions)
    segmentation = outlines if whole else _encode(pixels, left, top, width, height)
    return segmentation, bbox, float(np.count_nonzero(pixels))


def _radius(shape: Shape) -> float:
    (x1, y1), (x2, y2) = shape.points
    return math.hypot(x2 - x1, y2 - y1)


def _circle(centre: Point, radius: float) -> Outline:
    if radius == 0:
        return (centre,) * 3
    # The sagitta r (1 - cos(pi / n)) of an edge is at most one pixel.
    cosine = 1 - 1 / radius
    count = 12 if cosine <= -1 else int(math.pi / max(math.acos(cosine), math.pi / _MAX_CIRCLE_POINTS))
    angles = 2 * math.pi / max(count, 12) * np.arange(max(count, 12))
    xs, ys = centre[0] + radius * np.sin(angles), centre[1] + radius * np.cos(angles)
    return tuple(zip(xs.tolist(), ys.tolist(), strict=True))


def _extent(outline: Outline) -> tuple[float, float, float, float]:
    xs, ys = [x for x, _ in outline], [y for _, y in outline]
    return min(xs), min(ys), max(xs), max(ys)


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


def _draw(shape: Shape, outline: Outline, width: int, height: int) -> tuple[int, int, NDArray[np.bool_]]:
    """Draw as labelme does: Pillow cuts coordinates to whole numbers, and the border belongs to the shape."""
    round_shape = shape.kind == "circle" and _radius(shape) <= _GUARD
    left, top, right, bottom = extent(shape) if round_shape else _extent(outline)
    x0, y0 = max(math.floor(left), 0), max(math.floor(top), 0)
    columns, rows = min(math.ceil(right) + 1, width) - x0, min(math.ceil(bottom) + 1, height) - y0
    if columns <= 0 or rows <= 0:
        return x0, y0, np.zeros((0, 0), dtype=np.bool_)
    canvas = Image.new("L", (columns, rows))
    draw = ImageDraw.Draw(canvas)
    box = (left - x0, top - y0, right - x0, bottom - y0)
    if round_shape:
        draw.ellipse(box, fill=1, outline=1)
    elif shape.kind == "rectangle" and len(shape.points) == 2:
        draw.rectangle(box, fill=1, outline=1)
    else:
        draw.polygon([(x - x0, y - y0) for x, y in outline], fill=1, outline=1)
    return x0, y0, np.asarray(canvas, dtype=np.bool_)


def _mask_region(shape: Shape, width: int, height: int, max_pixels: int) -> Region | None:
    pixels = _mask_pixels(shape, max_pixels)
    corners = np.rint(np.array(shape.points)).astype(np.int64)
    (x1, y1), (x2, y2) = corners.tolist()
    rows, columns = pixels.shape
    # labelme rounds the corners one by one, so a box between pixels may come out one pixel off the mask's own size.
    slack = 0 if all(value.is_integer() for point in shape.points for value in point) else 1
    if abs(x2 - x1 + 1 - columns) > slack or abs(y2 - y1 + 1 - rows) > slack:
        raise ValueError(f"the mask has {columns} x {rows} pixels, but its box {x2 - x1 + 1} x {y2 - y1 + 1}")
    top, left = max(y1, 0), max(x1, 0)
    inside = pixels[top - y1 : max(height - y1, 0), left - x1 : max(width - x1, 0)]
    return Region(left, top, inside, None) if inside.any() else None


def _mask_pixels(shape: Shape, max_pixels: int) -> NDArray[np.bool_]:
    if shape.mask is None:
        raise ValueError("shape type mask needs a 'mask', found nothing")
    try:
        return open_mask(decode_base64(shape.mask, "mask"), max_pixels)
    except UnreadableImageError as error:
        raise ValueError(f"the PNG in 'mask' cannot be used: {error.reason}") from error


def _encode(pixels: NDArray[np.bool_], left: int, top: int, width: int, height: int) -> RunLengthEncoding:
    canvas = np.zeros((height, width), dtype=np.uint8, order="F")
    canvas[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
    encoded = coco_mask.encode(canvas)
    return {"size": [height, width], "counts": encoded["counts"].decode("ascii")}
