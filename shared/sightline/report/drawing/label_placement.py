"""Placement of labels so that they hide neither objects nor each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Rectangle = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels."""

_STEPS = 5
"""Maximum distance of a label from its box, in label heights."""


def place_labels(
    boxes: Sequence[Rectangle], extents: Sequence[tuple[float, float]], size: tuple[int, int]
) -> list[Rectangle]:
    """Place the label of each box, greedily.

    Positions above, below and beside the box are tried first, then positions farther away.  The cost of a position is
    the area it covers: high for another label, lower for the inside of a box that does not surround this one, plus a
    little for distance.  Labels of characters therefore go above or below their line.

    Args:
        boxes: The boxes to label.
        extents: Width and height of each label.
        size: Width and height of the image; labels stay inside if they fit.

    Returns:
        One rectangle per box, in the order of ``boxes``.
    """
    obstacles = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    taken: list[Rectangle] = []
    # Small boxes have the fewest good positions, so they come first.
    order = sorted(range(len(boxes)), key=lambda index: (_area(boxes[index]), index))
    chosen: dict[int, Rectangle] = {}
    for index in order:
        places, distances = _candidates(boxes[index], extents[index], size)
        around = _surrounds(obstacles, boxes[index])
        covered = _overlaps(places, obstacles[~around]).sum(axis=1)
        clash = _overlaps(places, np.asarray(taken, dtype=np.float64).reshape(-1, 4)).sum(axis=1)
        area = extents[index][0] * extents[index][1]
        cost = 8.0 * clash / area + 2.0 * covered / area + 0.25 * distances
        chosen[index] = _rectangle(places[int(np.argmin(cost))])
        taken.append(chosen[index])
    return [chosen[index] for index in range(len(boxes))]


def _area(box: Rectangle) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _rectangle(row: npt.NDArray[np.float64]) -> Rectangle:
    return float(row[0]), float(row[1]), float(row[2]), float(row[3])


def _candidates(
    box: Rectangle, extent: tuple[float, float], size: tuple[int, int]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Positions [N, 4] with their distance from the box in label heights [N], the best first."""
    width, height = extent
    left, top, right, bottom = box
    corners: list[tuple[float, float, float]] = []
    for step in range(_STEPS):
        away = step * (height + 1)
        for align, x in enumerate(((left + right - width) / 2, left, right - width, right, left - width)):
            for side, y in enumerate((top - height - away, bottom + away)):
                corners.append((x, y, step + 0.1 * align + 0.05 * side))
    middle = (top + bottom - height) / 2
    corners.append((right, middle, 0.6))
    corners.append((left - width, middle, 0.6))
    found = np.asarray(corners, dtype=np.float64)
    lefts = np.clip(found[:, 0], 0, max(0.0, size[0] - width))
    tops = np.clip(found[:, 1], 0, max(0.0, size[1] - height))
    places = np.stack([lefts, tops, lefts + width, tops + height], axis=1)
    moved = np.abs(lefts - found[:, 0]) / width + np.abs(tops - found[:, 1]) / height
    return places, found[:, 2] + moved


def _surrounds(obstacles: npt.NDArray[np.float64], box: Rectangle) -> npt.NDArray[np.bool_]:
    """Whether each box contains this one and is much larger; labels may be placed inside such boxes."""
    left, top, right, bottom = box
    areas = (obstacles[:, 2] - obstacles[:, 0]) * (obstacles[:, 3] - obstacles[:, 1])
    holds = (
        (obstacles[:, 0] <= left) & (obstacles[:, 1] <= top) & (obstacles[:, 2] >= right) & (obstacles[:, 3] >= bottom)
    )
    result: npt.NDArray[np.bool_] = holds & (areas > 2 * _area(box))
    return result


def _overlaps(places: npt.NDArray[np.float64], others: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Intersection areas in pixels of positions [N, 4] and other rectangles [M, 4]: [N, M]."""
    low = np.maximum(places[:, None, :2], others[None, :, :2])
    high = np.minimum(places[:, None, 2:], others[None, :, 2:])
    shared: npt.NDArray[np.float64] = np.clip(high - low, 0, None).prod(axis=2)
    return shared
