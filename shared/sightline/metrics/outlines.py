"""Outlines of many masks at once: equidistant points on their borders.

The borders of a mask (outer borders and those of holes) run from the middle of one pixel edge to the middle of the
next; pixels that only touch at a corner are not connected.  They are the lines of :func:`contourpy.contour_generator`
at level 0.5, beginning at the same points.  The borders of many masks are followed in lockstep, which is several times
as fast; masks with several borders are left to contourpy.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sightline.data.formats.coco import RunLengthEncoding
from sightline.metrics.run_lengths import ColumnRuns, Integers, column_runs

OUTLINE_POINTS = 30
"""Number of points that an outline is resampled to."""

Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]

_PIXELS = 1 << 24
"""The size of a batch of masks that are followed together: their pixels, and 24 for each pixel of width and height."""

_LEFT, _UP, _RIGHT, _DOWN = range(4)
"""The side of a pixel on which the border is; also the order in which a border passes the sides of a single pixel."""

_STEPS: Floats = np.array([np.hypot(0.5, 0.5), 1.0, np.hypot(0.5, 0.5)])
"""Length of a step around a convex corner, straight on, and around a concave corner."""

_OUTWARD: Floats = np.array([[-0.5, 0.0], [0.0, -0.5], [0.5, 0.0], [0.0, 0.5]])
"""From the center of a pixel to the middle of each side, x and y."""


def outlines(masks: Sequence[RunLengthEncoding]) -> tuple[Floats, Floats]:
    """The borders of masks, resampled to equidistant points.

    Returns:
        The points, float64 [N, 30, 2], x and y in pixels, and the distance between two points of each mask along the
        border, float64 [N]; all are NaN for an empty mask.
    """
    points = np.full((len(masks), OUTLINE_POINTS, 2), np.nan)
    distances = np.full(len(masks), np.nan)
    for chosen in _batches(masks):
        canvas = _Canvas.of(column_runs([masks[index] for index in chosen]))
        traced, distance, complete = _sampled(canvas)
        numbers = chosen[canvas.masks]
        points[numbers[complete]], distances[numbers[complete]] = traced[complete], distance[complete]
        for place in np.flatnonzero(~complete):
            points[numbers[place]], distances[numbers[place]] = _several_borders(canvas, int(place))
    return points, distances


def _batches(masks: Sequence[RunLengthEncoding]) -> Iterator[Integers]:
    """The positions of the masks, those of similar size together, so that no border waits long for the others."""
    from pycocotools import mask as coco_mask

    if not masks:
        return
    boxes = np.asarray(coco_mask.toBbox(list(masks)), np.int64).reshape(-1, 4)
    width, height = boxes[:, 2] + 2, boxes[:, 3] + 2
    order = np.argsort(width + height, kind="stable")
    # The second term is for the trace of the border, whose length is unknown.
    needed = np.cumsum((width * height + 24 * (width + height))[order])
    yield from np.split(order, np.flatnonzero(np.diff(needed // _PIXELS)) + 1)


@dataclass(frozen=True, slots=True)
class _Canvas:
    """The pixels of many masks in one array, each in its box with a border of pixels that are not covered.

    Attributes:
        pixels: uint8, 0 or 1; the columns of the first mask, then those of the next.
        masks: int64 [M], the position of each mask; empty masks have none.
        first: int64 [M], where the pixels of the mask begin.
        stride: int64 [M], the distance of two columns.
        columns: int64 [M], the number of columns.
        corner: float64 [M, 2], x and y of the center of the first pixel in the image.
        starts: int64 [M], the leftmost of the topmost covered pixels.
        runs: int64 [M], the number of vertical runs of covered pixels.
    """

    pixels: Bytes
    masks: Integers
    first: Integers
    stride: Integers
    columns: Integers
    corner: Floats
    starts: Integers
    runs: Integers

    @classmethod
    def of(cls, runs: ColumnRuns) -> _Canvas:
        """Draw the runs of several masks."""
        masks, begin, counts = np.unique(runs.masks, return_index=True, return_counts=True)
        if not len(masks):
            none = np.zeros(0, np.int64)
            return cls(np.zeros(0, np.uint8), none, none, none, none, np.zeros((0, 2)), none, none)
        left, right = runs.x[begin], runs.x[np.append(begin[1:], len(runs.x)) - 1]
        top, bottom = np.minimum.reduceat(runs.top, begin), np.maximum.reduceat(runs.bottom, begin)
        stride, columns = bottom - top + 2, right - left + 3
        ends = np.cumsum(stride * columns)
        first = ends - stride * columns
        own = np.repeat(np.arange(len(masks)), counts)
        column = first[own] + (runs.x - left[own] + 1) * stride[own] + 1 - top[own]
        changes = np.stack([column + runs.top, column + runs.bottom], axis=1).ravel()
        lengths = np.diff(changes, prepend=0, append=ends[-1])
        pixels = np.repeat(np.arange(len(lengths), dtype=np.uint8) % 2, lengths)
        highest = np.where(runs.top == top[own], column + runs.top, np.iinfo(np.int64).max)
        corner = np.stack([left - 0.5, top - 0.5], axis=1)
        starts = np.minimum.reduceat(highest, begin)
        return cls(pixels, masks, first, stride, columns, corner, starts, counts)


def _sampled(canvas: _Canvas) -> tuple[Floats, Floats, npt.NDArray[np.bool_]]:
    """The points [M, 30, 2] and distances [M] of borders, and whether each is the only border of its mask [M]."""
    at, sides, turns, lengths = _followed(canvas)
    steps, mask = np.arange(len(at))[:, None], np.arange(len(lengths))
    crossed = ((sides % 2 == _UP % 2) & (steps < lengths)).sum(axis=0)
    # A border crosses the two ends of each vertical run; if one border crosses all of them, there is no other.
    complete = (lengths > 0) & (crossed == 2 * canvas.runs)
    if not len(at):
        return np.zeros((len(lengths), OUTLINE_POINTS, 2)), np.zeros(len(lengths)), complete
    ends = np.cumsum(_STEPS[turns], axis=0)
    distance = ends[lengths - 1, mask] / OUTLINE_POINTS
    along = (np.arange(OUTLINE_POINTS)[:, None] + 0.5) * distance
    step = _first_beyond(ends, along, np.maximum(lengths, 1))
    length = _STEPS[turns[step, mask]]
    share = (along - (ends[step, mask] - length)) / length
    following = np.where(step + 1 < lengths, step + 1, 0)
    one, other = (_middle(canvas, at[index, mask], sides[index, mask]) for index in (step, following))
    return (one + (other - one) * share[..., None]).transpose(1, 0, 2), distance, complete


def _followed(canvas: _Canvas) -> tuple[Integers, Bytes, Bytes, Integers]:
    """Follow the first border of each mask clockwise, all at the same time.

    Returns:
        For each step [S, M] the pixel inside of the border, the side of it on which the border is, and the turn that
        follows (0 convex, 1 straight, 2 concave); and the number of steps of each border [M], 0 if it is very ragged.
    """
    count = len(canvas.masks)
    # How to get from a pixel to its neighbor on each side.
    beside = np.stack([-canvas.stride, np.full(count, -1), canvas.stride, np.full(count, 1)], axis=1).ravel()
    mine = 4 * np.arange(count)
    at, side = canvas.starts.copy(), np.full(count, _LEFT, np.int64)
    lengths = np.zeros(count, np.int64)
    most = 2 * int((canvas.stride + canvas.columns).max(initial=0))
    trace: list[tuple[Integers, Bytes, Bytes]] = []
    for step in range(1, most + 1):
        outward, ahead = beside[mine + side], at + beside[mine + ((side + 1) & 3)]
        straight = canvas.pixels[ahead]
        turn = straight * (1 + canvas.pixels[ahead + outward])
        trace.append((at, side.astype(np.uint8), turn))
        at = np.where(straight, ahead + outward * (turn == 2), at)
        side = (side + 1 - turn) & 3
        closed = np.flatnonzero((at == canvas.starts) & (side == _LEFT))
        lengths[closed] = np.where(lengths[closed], lengths[closed], step)
        if len(closed) and lengths.all():
            break
    pixels, sides, turns = ([step[part] for step in trace] for part in range(3))
    return np.array(pixels), np.array(sides), np.array(turns), lengths


def _first_beyond(ends: Floats, along: Floats, lengths: Integers) -> Integers:
    """For each position [P, M] the first of ``lengths`` [M] steps that ends [S, M] beyond it: [P, M]."""
    low, high = np.zeros(along.shape, np.int64), np.broadcast_to(lengths - 1, along.shape).copy()
    mask = np.arange(along.shape[1])
    while (low < high).any():
        middle = (low + high) // 2
        beyond = ends[middle, mask] > along
        high, low = np.where(beyond, middle, high), np.where(beyond, low, np.minimum(middle + 1, high))
    return low


def _middle(canvas: _Canvas, at: Integers, side: Bytes) -> Floats:
    """The middle of a side of a pixel of each mask: float64 [P, M, 2]."""
    column, row = np.divmod(at - canvas.first, canvas.stride)
    return np.stack([column, row], axis=-1) + canvas.corner + _OUTWARD[side]


def _several_borders(canvas: _Canvas, place: int) -> tuple[Floats, float]:
    """The points [30, 2] and their distance of one mask, by contourpy."""
    from contourpy import contour_generator

    stride, columns, first = (int(values[place]) for values in (canvas.stride, canvas.columns, canvas.first))
    pixels: npt.NDArray[Any] = canvas.pixels[first : first + stride * columns].reshape(columns, stride).T
    borders = [np.asarray(line) for line in contour_generator(z=pixels.astype(np.float64)).lines(0.5)]
    starts = np.concatenate([border[:-1] for border in borders]) + canvas.corner[place]
    steps = np.concatenate([np.diff(border, axis=0) for border in borders])
    lengths = np.hypot(steps[:, 0], steps[:, 1])
    ends = np.cumsum(lengths)
    distance = float(ends[-1]) / OUTLINE_POINTS
    along = (np.arange(OUTLINE_POINTS) + 0.5) * distance
    piece = np.searchsorted(ends, along, side="right")
    share = (along - (ends - lengths)[piece]) / lengths[piece]
    return starts[piece] + steps[piece] * share[:, None], distance
