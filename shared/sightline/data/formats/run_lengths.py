"""Run-length encodings of untrusted COCO files, checked before pycocotools decodes them.

pycocotools trusts its input: runs that are longer than the mask lead to memory beyond its end.
"""

from __future__ import annotations

from typing import Any

from sightline.data.formats.coco import RunLengthEncoding
from sightline.data.rasterizer import encode_runs

_FIRST = 48
"""Code of the character for 0."""

_MAX_PIXELS = 2**32 - 1
"""Pixels of a mask that pycocotools can count."""

_MAX_CHARACTERS = 7
"""Characters of one run; seven hold 35 bits."""


def run_lengths(value: Any) -> RunLengthEncoding:  # noqa: ANN401  (whatever JSON holds)
    """Check a run-length encoding, compressed or as a list of runs.

    Args:
        value: ``{"size": [height, width], "counts": text or list}``.

    Raises:
        ValueError: It is not one, or its runs do not fill its size; the message is the reason.
    """
    size, counts = value.get("size"), value.get("counts")
    if not (isinstance(size, list) and len(size) == 2 and all(type(side) is int and 0 < side < 2**31 for side in size)):
        raise ValueError(f"the size of the mask is {size!r}, expected [height, width]")
    if isinstance(counts, str):
        runs = decompressed(counts)
    elif isinstance(counts, list) and all(type(run) is int for run in counts):
        runs = counts
    else:
        raise ValueError("the counts of the mask are neither text nor a list of whole numbers")
    height, width = size
    if height * width > _MAX_PIXELS:
        raise ValueError(f"the size of the mask is {size!r}, more than {_MAX_PIXELS:,} pixels")
    if any(run < 0 for run in runs):
        raise ValueError("the mask has a run of negative length")
    if sum(runs) != height * width:
        raise ValueError(f"the runs of the mask cover {sum(runs):,} pixels, expected {height} x {width}")
    return {"size": [height, width], "counts": counts} if isinstance(counts, str) else encode_runs(runs, height, width)


def decompressed(text: str) -> list[int]:
    """The runs of a compressed encoding (``rleFrString`` of pycocotools): five bits a character, differences of two.

    Raises:
        ValueError: A character or a run is not one of an encoding.

    Example:
        >>> decompressed("52203")  # the last runs are written as differences
        [5, 2, 2, 2, 5]
    """
    runs: list[int] = []
    value, shift = 0, 0
    for character in text:
        code = ord(character) - _FIRST
        if not 0 <= code < 64 or shift >= 5 * _MAX_CHARACTERS:
            raise ValueError(f"the counts of the mask contain {character!r}, which no encoding has there")
        value |= (code & 0x1F) << shift
        shift += 5
        if code & 0x20:
            continue
        if code & 0x10:
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        value, shift = 0, 0
    if shift:
        raise ValueError("the counts of the mask end within a run")
    return runs
