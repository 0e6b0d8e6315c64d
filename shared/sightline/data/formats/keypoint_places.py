"""Whether a keypoint is where a keypoint of its object can be."""

from __future__ import annotations

import math

from sightline.data.annotations import FaultKind
from sightline.data.formats.outlines import Extent

FARTHEST_SHARE = 0.5
"""A keypoint may be this far outside its object's box, relative to the box's longer side."""

_MARGIN_PIXELS = 2.0
"""Pixels by which a keypoint may also be outside, for very small objects."""


def misplaced(x: float, y: float, box: Extent, size: tuple[int, int] | None) -> tuple[FaultKind, str, str] | None:
    """The fault of a keypoint's position: kind, reason and remedy; None if it is possible.

    Args:
        x: Pixels.
        y: Pixels.
        box: Left, top, right and bottom of its object.
        size: Width and height of the image; None if they are unknown.
    """
    if not (math.isfinite(x) and math.isfinite(y)):
        return "bad_keypoint", f"the keypoint is at ({x:g}, {y:g}), which is no position", "draw it again"
    left, top, right, bottom = box
    margin = FARTHEST_SHARE * max(right - left, bottom - top) + _MARGIN_PIXELS
    if not (left - margin <= x <= right + margin and top - margin <= y <= bottom + margin):
        reason = (
            f"the keypoint at ({x:g}, {y:g}) is far outside its object, which extends from ({left:g}, {top:g}) to "
            f"({right:g}, {bottom:g})"
        )
        return "bad_keypoint", reason, "move it, or correct the object it belongs to"
    if size is not None and not (0 <= x <= size[0] and 0 <= y <= size[1]):
        reason = f"the keypoint at ({x:g}, {y:g}) is outside the image of {size[0]} x {size[1]} pixels"
        return "outside_image", reason, "move it into the image, or let record clip it (data.faults.outside_image=clip)"
    return None
