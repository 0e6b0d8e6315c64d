"""The annotations of COCO files: outline or mask, box and keypoints of one object, with their faults."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sightline.data.annotations import Fault, FaultKind, Keypoint
from sightline.data.formats.coco import RunLengthEncoding
from sightline.data.formats.image_index import Place
from sightline.data.formats.objects import AnnotatedObject, rectangle
from sightline.data.formats.outlines import Outline
from sightline.data.formats.run_lengths import run_lengths

_AGAIN = "annotate it again or delete it"

_NUMBERS = frozenset({int, float})


@dataclass(frozen=True, slots=True)
class Category:
    """One category of a COCO file.

    Attributes:
        name: Class name as written.
        keypoints: Names of its keypoints; empty if it has none, or does not name them.
    """

    name: str
    keypoints: tuple[str, ...] = ()


class _EntryError(ValueError):
    """An annotation that cannot be used, with the kind, reason and remedy of the fault."""

    def __init__(self, kind: FaultKind, reason: str, remedy: str = _AGAIN) -> None:
        super().__init__(reason)
        self.kind: FaultKind = kind
        self.remedy = remedy


def has_region(annotation: Mapping[str, Any]) -> bool:
    """Whether an annotation is about an object; otherwise it is about the whole image."""
    return bool(annotation.get("segmentation") or annotation.get("bbox") or annotation.get("keypoints"))


def object_of(
    annotation: Mapping[str, Any], category: Category, keypoint_names: Sequence[str], place: Place
) -> AnnotatedObject:
    """Read one annotation with a segmentation or a box.

    Args:
        annotation: The annotation.
        category: Its category.
        keypoint_names: ``data.keypoints.names``; if empty, keypoints are not read.
        place: Its place.

    Returns:
        The object; its faults are part of it.
    """
    try:
        if annotation.get("iscrowd"):
            raise _EntryError("crowd", "it marks a crowd (iscrowd), not one object", "annotate the objects one by one")
        outlines, pixels = _region(annotation)
        keypoints = _keypoints(annotation, category, keypoint_names) if keypoint_names else None
    except _EntryError as error:
        fault = place.fault(error.kind, str(error), error.remedy, category.name)
        return AnnotatedObject(place.entry, category.name, faults=(fault,))
    return AnnotatedObject(place.entry, category.name, outlines, pixels, keypoints)


def category_faults(category: Category, keypoint_names: Sequence[str], place: Place) -> list[Fault]:
    """The faults of the names of a category's keypoints."""
    faults = []
    for name in category.keypoints if keypoint_names else ():
        if name not in keypoint_names:
            near = difflib.get_close_matches(name, keypoint_names, n=1, cutoff=0.6)
            meant = f"did you mean {near[0]!r}?" if near else f"expected some of {', '.join(keypoint_names)}"
            reason = f"keypoint {name!r} is not in data.keypoints.names ({meant})"
            faults.append(place.fault("bad_keypoint", reason, "rename it, or add it to data.keypoints.names", name))
    return faults


def _region(annotation: Mapping[str, Any]) -> tuple[tuple[Outline, ...], RunLengthEncoding | None]:
    segmentation = annotation.get("segmentation")
    if isinstance(segmentation, dict):
        try:
            return (), run_lengths(segmentation)
        except ValueError as error:
            raise _EntryError("broken_row", str(error)) from error
    if segmentation:
        if not isinstance(segmentation, list):
            raise _EntryError("broken_row", "'segmentation' is neither a list of polygons nor a mask")
        return tuple(_polygon(polygon, index) for index, polygon in enumerate(segmentation)), None
    return (_box(annotation.get("bbox")),), None


def _polygon(polygon: object, index: int) -> Outline:
    if not isinstance(polygon, list) or not _are_numbers(polygon):
        raise _EntryError("broken_row", f"polygon {index} of 'segmentation' is not a list of numbers")
    if len(polygon) % 2:
        raise _EntryError("broken_row", f"polygon {index} has {len(polygon)} numbers, expected pairs x, y")
    if len(polygon) < 6:
        reason = f"a polygon needs at least 3 points, but polygon {index} has {len(polygon) // 2}"
        raise _EntryError("zero_area", reason)
    values = _coordinates(polygon)
    return tuple(zip(values[::2], values[1::2], strict=True))


def _box(box: object) -> Outline:
    if not isinstance(box, list) or len(box) != 4 or not _are_numbers(box):
        raise _EntryError("broken_row", f"'bbox' is {str(box)[:60]}, expected [x, y, width, height]")
    x, y, width, height = _coordinates(box)
    if width <= 0 or height <= 0:
        raise _EntryError("zero_area", f"the box is {width:g} x {height:g} pixels")
    return rectangle(x, y, x + width, y + height)


def _keypoints(annotation: Mapping[str, Any], category: Category, names: Sequence[str]) -> tuple[Keypoint, ...] | None:
    """All keypoints in the order of ``names``; None if the annotation has none."""
    values = annotation.get("keypoints")
    if values is None:
        return None
    declared = category.keypoints or tuple(names)
    if not isinstance(values, list) or not _are_numbers(values):
        raise _EntryError("bad_keypoint", "'keypoints' is not a list of numbers")
    if len(values) != 3 * len(declared):
        reason = (
            f"'keypoints' has {len(values)} numbers, expected {3 * len(declared)}: x, y, visibility of each keypoint"
        )
        raise _EntryError("bad_keypoint", reason)
    points: dict[str, Keypoint] = {}
    for name, x, y, visibility in zip(declared, values[::3], values[1::3], values[2::3], strict=True):
        if visibility not in (0, 1, 2):
            raise _EntryError("bad_keypoint", f"the visibility of {name} is {visibility}, expected 0, 1 or 2")
        if visibility:
            points[name] = (_coordinate(x), _coordinate(y), int(visibility))
    return tuple(points.get(name, (0.0, 0.0, 0)) for name in names)


def _are_numbers(values: list[Any]) -> bool:
    """Whether decoded JSON values are numbers; true and false have another type."""
    return _NUMBERS.issuperset(map(type, values))


def _coordinates(values: list[float]) -> list[float]:
    try:
        return list(map(float, values))
    except OverflowError:
        return list(map(_coordinate, values))


def _coordinate(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
