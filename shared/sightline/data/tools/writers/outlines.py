"""Polygons of masks: traced so that they cover the same pixels, and joined where a format has one polygon only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sightline.data.formats.coco import Segmentation
from sightline.data.rasterizer import covered_box, rasterize

Points = npt.NDArray[np.float64]
"""float64 [N, 2], x and y in pixels."""


@dataclass(frozen=True, slots=True)
class Polygons:
    """The outlines of an object.

    Attributes:
        parts: Its polygons, without holes.
        holes: Number of holes, which the polygons fill.
    """

    parts: list[Points]
    holes: int = 0


def polygons_of(segmentation: Segmentation) -> Polygons:
    """The polygons of an object; those of a mask pass between the pixels inside and outside.

    So the centers of the mask's pixels are inside, and all others outside, except in holes.
    """
    if isinstance(segmentation, list):
        return Polygons([np.asarray(polygon, np.float64).reshape(-1, 2) for polygon in segmentation])
    left, top, width, height = covered_box(segmentation)
    mask_height, mask_width = segmentation["size"]
    mask = rasterize(segmentation, mask_height, mask_width)[top : top + height, left : left + width]
    found = _traced(mask)
    holes = found.holes
    while found.holes:  # an object in a filled hole is part of the outer one
        found = _traced(rasterize([part.ravel().tolist() for part in found.parts], height, width))
    return Polygons([part + np.array([left, top]) for part in found.parts], holes)


def joined(parts: list[Points]) -> Points:
    """One polygon that covers all parts, connected by lines without width between their nearest points.

    Example:
        >>> square = np.array([[0.0, 0], [2, 0], [2, 2], [0, 2]])
        >>> joined([square, square + 5]).tolist()[:4]
        [[0.0, 0.0], [2.0, 0.0], [2.0, 2.0], [5.0, 5.0]]
    """
    rest = list(parts)
    merged = rest.pop(0)
    while rest:
        distances = [((merged[:, None] - part[None]) ** 2).sum(axis=2) for part in rest]
        nearest = min(range(len(rest)), key=lambda index: float(distances[index].min()))
        table, part = distances[nearest], rest.pop(nearest)
        here, there = np.unravel_index(int(table.argmin()), table.shape)
        loop = np.roll(part, -int(there), axis=0)
        merged = np.concatenate([merged[: here + 1], loop, loop[:1], merged[here:]])
    return merged


def _traced(mask: npt.NDArray[np.uint8]) -> Polygons:
    from contourpy import FillType, contour_generator

    framed = np.pad(mask, 1).astype(np.float64)
    # The center of pixel 0 is at 0.5, and the frame is one pixel wide.
    columns, rows = np.arange(framed.shape[1]) - 0.5, np.arange(framed.shape[0]) - 0.5
    generator = contour_generator(columns, rows, framed, fill_type=FillType.OuterOffset)
    found, offsets = _contours(generator.filled(0.5, 2.0))
    parts = [_straightened(points[bounds[0] : bounds[1]]) for points, bounds in zip(found, offsets, strict=True)]
    return Polygons(parts, sum(len(bounds) - 2 for bounds in offsets))


def _contours(filled: Any) -> tuple[list[Points], list[npt.NDArray[np.uint32]]]:  # noqa: ANN401  (a union of forms)
    """The points of each outer polygon with its holes, and where each of them begins."""
    found, offsets = filled
    return list(found), list(offsets)


def _straightened(closed: Points) -> Points:
    """A closed polygon without its repeated last point and without points in the middle of straight lines."""
    points = closed[:-1]
    before, after = points - np.roll(points, 1, axis=0), np.roll(points, -1, axis=0) - points
    turns = np.abs(before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]) > 1e-9
    kept: Points = points[turns]
    return kept
