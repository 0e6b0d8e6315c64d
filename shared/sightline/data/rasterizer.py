"""Converts outlines to pixels, in one place: COCO's run-length polygons determine the covered pixels everywhere.

A pixel belongs to a polygon if its center does, on a grid five times as fine as the image (``rleFrPoly`` of
pycocotools); so a rectangle from (2, 2) to (6, 6) covers the 16 pixels 2 to 5 in both directions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from sightline.data.formats.coco import RunLengthEncoding, Segmentation


def encode_outline(segmentation: Segmentation, height: int, width: int) -> RunLengthEncoding:
    """The pixels of an outline as a run-length encoding; an existing encoding is returned unchanged.

    Args:
        segmentation: Polygons with at least three points, in pixels, or a run-length encoding.
        height: Height of the image.
        width: Width of the image.

    Example:
        >>> round(covered_area(encode_outline([[2, 2, 6, 2, 6, 6, 2, 6]], 10, 10)))
        16
    """
    from pycocotools import mask as coco_mask

    if isinstance(segmentation, dict):
        return segmentation
    encoded = coco_mask.frPyObjects(segmentation, height, width)
    return _as_text(encoded[0] if len(encoded) == 1 else coco_mask.merge(encoded))


def encode_runs(runs: Sequence[int], height: int, width: int) -> RunLengthEncoding:
    """Lengths of runs, column by column and beginning with uncovered pixels, as a run-length encoding.

    Args:
        runs: Their sum is ``height * width``.
        height: Height of the image.
        width: Width of the image.
    """
    from pycocotools import mask as coco_mask

    return _as_text(coco_mask.frPyObjects({"size": [height, width], "counts": list(runs)}, height, width))


def encode_mask(mask: npt.NDArray[np.uint8] | npt.NDArray[np.bool_]) -> RunLengthEncoding:
    """A mask, [height, width] of 0 and 1, as a run-length encoding."""
    from pycocotools import mask as coco_mask

    return _as_text(coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8)))


def rectangle_area(left: float, top: float, right: float, bottom: float) -> float:
    """The number of pixels that a rectangle covers, as :func:`covered_area` of its outline, without drawing it.

    ``rleFrPoly`` rounds corners to fifths of a pixel; the center of pixel n is fifth 5 n + 2.

    Args:
        left: Left border in pixels; the whole rectangle is inside the image.
        top: Upper border.
        right: Right border, at least ``left``.
        bottom: Lower border, at least ``top``.

    Example:
        >>> rectangle_area(2, 2, 6, 6)
        16.0
    """
    columns = (int(5 * right + 0.5) + 2) // 5 - (int(5 * left + 0.5) + 2) // 5
    rows = (int(5 * bottom + 0.5) + 2) // 5 - (int(5 * top + 0.5) + 2) // 5
    return float(columns * rows)


def union(encodings: Sequence[RunLengthEncoding]) -> RunLengthEncoding:
    """The union of several encodings of the same size."""
    from pycocotools import mask as coco_mask

    return encodings[0] if len(encodings) == 1 else _as_text(coco_mask.merge(list(encodings)))


def covered_area(encoding: RunLengthEncoding) -> float:
    """The number of pixels that an encoding covers."""
    from pycocotools import mask as coco_mask

    return float(coco_mask.area(encoding))


def covered_box(encoding: RunLengthEncoding) -> tuple[int, int, int, int]:
    """The smallest box around the covered pixels: x, y, width, height; width and height are 0 if there are none."""
    from pycocotools import mask as coco_mask

    x, y, width, height = (int(value) for value in coco_mask.toBbox(encoding))
    return x, y, width, height


def rasterize(segmentation: Segmentation, height: int, width: int) -> npt.NDArray[np.uint8]:
    """An outline as a mask: uint8 [height, width], 1 inside, 0 outside."""
    from pycocotools import mask as coco_mask

    mask: npt.NDArray[np.uint8] = coco_mask.decode(encode_outline(segmentation, height, width))
    return mask


def _as_text(encoding: Mapping[str, Any]) -> RunLengthEncoding:
    """The encoding with its runs as text for JSON; pycocotools returns bytes."""
    height, width = encoding["size"]
    return {"size": [int(height), int(width)], "counts": encoding["counts"].decode("ascii")}
