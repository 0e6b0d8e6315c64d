"""Decodes many run-length encoded masks at once, into runs of pixels within columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sightline.data.formats.coco import RunLengthEncoding

Integers = npt.NDArray[np.int64]

_CONTINUES, _VALUE, _SIGN, _BITS = 0x20, 0x1F, 0x10, 5
"""pycocotools writes numbers in groups of five bits, one per character, the lowest first."""


@dataclass(frozen=True, slots=True)
class ColumnRuns:
    """Vertical runs of covered pixels; those of one mask are adjacent, by ascending x and then y.

    Attributes:
        masks: int64 [N], position of the mask of each run, ascending.
        x: int64 [N], the column.
        top: int64 [N], the first covered row.
        bottom: int64 [N], the first row below the run.
    """

    masks: Integers
    x: Integers
    top: Integers
    bottom: Integers


def column_runs(encodings: Sequence[RunLengthEncoding]) -> ColumnRuns:
    """The covered pixels of several masks; a mask without any has no runs.

    Args:
        encodings: Masks of any sizes.

    Example:
        >>> runs = column_runs([{"size": [4, 3], "counts": "232"}])  # 2 pixels, then 3 covered ones, then 2
        >>> runs.x.tolist(), runs.top.tolist(), runs.bottom.tolist()
        ([0, 1], [2, 0], [4, 1])
    """
    lengths, masks = _run_lengths(encodings)
    place = _places(masks)
    ends = _sums_within(lengths, place)
    # The runs of a mask alternate, and begin with pixels that are not covered.
    covered = (place % 2 == 1) & (lengths > 0)
    ends, starts, masks = ends[covered], (ends - lengths)[covered], masks[covered]
    heights = np.array([encoding["size"][0] for encoding in encodings], np.int64)[masks]
    columns = (ends - 1) // heights - starts // heights + 1
    run = np.repeat(np.arange(len(masks)), columns)
    x = (starts // heights)[run] + _counting(columns)
    top = np.maximum(starts[run], x * heights[run]) - x * heights[run]
    bottom = np.minimum(ends[run] - x * heights[run], heights[run])
    return ColumnRuns(masks[run], x, top, bottom)


def _run_lengths(encodings: Sequence[RunLengthEncoding]) -> tuple[Integers, Integers]:
    """The lengths of all runs, and the mask of each: the inverse of ``rleToString`` of pycocotools."""
    texts = [_as_bytes(encoding["counts"]) for encoding in encodings]
    characters = np.frombuffer(b"".join(texts), np.uint8) - np.uint8(ord("0"))
    ends = np.flatnonzero((characters & _CONTINUES) == 0)
    digits = np.diff(ends, prepend=-1)
    values = np.zeros(len(ends), np.int64)
    for place in range(int(digits.max(initial=0))):
        longer = np.flatnonzero(digits > place)
        groups = characters[ends[longer] - digits[longer] + 1 + place] & _VALUE
        values[longer] += groups.astype(np.int64) << (_BITS * place)
    negative = np.flatnonzero(characters[ends] & _SIGN)
    values[negative] -= np.int64(1) << (_BITS * digits[negative])
    numbers = np.searchsorted(ends, np.cumsum([len(text) for text in texts]))
    masks = np.repeat(np.arange(len(texts)), np.diff(numbers, prepend=0))
    return _summed(values, _places(masks)), masks


def _summed(values: Integers, places: Integers) -> Integers:
    """Undo the differences: from the fourth run of a mask on, a number is the difference to the run two before."""
    for parity in (0, 1):
        chain = np.flatnonzero((places % 2 == parity) & (places > 0))
        values[chain] = _sums_within(values[chain], (places[chain] - 1) // 2)
    return values


def _places(masks: Integers) -> Integers:
    """The position of each element among those of its mask; elements of a mask are adjacent."""
    index = np.arange(len(masks))
    begins = np.diff(masks, prepend=-1) != 0
    return index - np.maximum.accumulate(np.where(begins, index, 0))


def _sums_within(values: Integers, places: Integers) -> Integers:
    """Cumulative sums that begin again at each element with the place 0."""
    sums = np.cumsum(values)
    index = np.arange(len(values)) - places
    within: Integers = sums - (sums - values)[index]
    return within


def _counting(counts: Integers) -> Integers:
    """0, 1, ..., n - 1 for each n of ``counts``, one after the other."""
    return np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)


def _as_bytes(counts: str | bytes) -> bytes:
    return counts.encode("ascii") if isinstance(counts, str) else counts
