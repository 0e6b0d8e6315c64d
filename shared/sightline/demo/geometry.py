"""Outlines: circles, convex hulls, and which points lie in a polygon."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sightline.demo.canvas import Points


@functools.cache
def _unit_circle(corners: int) -> Points:
    angles = 2 * np.pi * np.arange(corners) / corners
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def circle(centre: ArrayLike, radii: ArrayLike, corners: int = 14) -> Points:
    """The outline of a circle or an axis-aligned ellipse, (``corners``, 2)."""
    outline: Points = np.asarray(centre) + np.asarray(radii) * _unit_circle(corners)
    return outline


def capsule(start: ArrayLike, start_radius: float, end: ArrayLike, end_radius: float) -> Points:
    """The convex hull of two circles.

    Args:
        start: (2,), the center of one circle.
        start_radius: Its radius.
        end: (2,), the center of the other circle.
        end_radius: Its radius.

    Returns:
        (16, 2), or the larger circle where it contains the other one.
    """
    axis = np.asarray(end) - np.asarray(start)
    length = float(np.hypot(*axis))
    if length <= abs(start_radius - end_radius):
        larger = start_radius > end_radius
        return circle(start if larger else end, start_radius if larger else end_radius)
    along = np.arctan2(axis[1], axis[0])
    tangent = np.arccos((start_radius - end_radius) / length)
    behind = along + np.linspace(tangent, 2 * np.pi - tangent, 8)
    ahead = along + np.linspace(-tangent, tangent, 8)
    arcs = [
        np.asarray(centre) + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        for centre, radius, angles in ((start, start_radius, behind), (end, end_radius, ahead))
    ]
    return np.concatenate(arcs)


def hull(points: Points) -> Points:
    """The convex hull, by Andrew's monotone chain.

    Args:
        points: (N, 2), at least three that are not on a line.

    Returns:
        The corners of the hull in order.

    Example:
        >>> hull(np.array([(0.0, 0.0), (2.0, 0.0), (1.0, 0.5), (2.0, 2.0)])).tolist()
        [[0.0, 0.0], [2.0, 0.0], [2.0, 2.0]]
    """
    ordered = sorted(map(tuple, points.tolist()))
    chains: list[list[tuple[float, ...]]] = []
    for sequence in (ordered, ordered[::-1]):
        chain: list[tuple[float, ...]] = []
        for x, y in sequence:
            while len(chain) > 1:
                (ax, ay), (bx, by) = chain[-2], chain[-1]
                if (bx - ax) * (y - ay) > (by - ay) * (x - ax):
                    break
                chain.pop()
            chain.append((x, y))
        chains.append(chain[:-1])
    return np.array(chains[0] + chains[1])


def inside(points: Points, polygon: Points) -> NDArray[np.bool_]:
    """Whether points lie in a polygon, by the even-odd rule.

    Args:
        points: (N, 2).
        polygon: (M, 2), without a repeated last point.

    Returns:
        (N,).

    Example:
        >>> inside(np.array([(1.0, 1.0), (3.0, 1.0)]), np.array([(0.0, 0.0), (2.0, 0.0), (0.0, 5.0)])).tolist()
        [True, False]
    """
    x, y = points[:, :1], points[:, 1:]
    (ax, ay), (bx, by) = polygon.T, np.roll(polygon, -1, axis=0).T
    spans = (ay > y) != (by > y)
    with np.errstate(divide="ignore", invalid="ignore"):
        crossing = ax + (y - ay) * (bx - ax) / (by - ay)
    crossed: NDArray[np.bool_] = (spans & (x < crossing)).sum(axis=1) % 2 == 1
    return crossed
