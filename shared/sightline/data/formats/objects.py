"""Objects as annotation files other than labelme's describe them, and their conversion to instances."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

from sightline.config.data import Data
from sightline.data.annotations import Fault, FaultKind, Instance, Keypoint
from sightline.data.formats.coco import RunLengthEncoding
from sightline.data.formats.image_index import Place
from sightline.data.formats.keypoint_places import misplaced
from sightline.data.formats.labels import LabelMap
from sightline.data.formats.outlines import (
    Extent,
    Joined,
    Outline,
    Point,
    Region,
    corners,
    extent_of,
    is_flat,
    join,
    join_rectangle,
    outline_region,
    sides,
)
from sightline.data.formats.reading import count_dropped, is_usable
from sightline.data.rasterizer import covered_area, covered_box

FARTHEST = 1e9
"""Coordinates beyond this limit cannot be pixels of an image."""

_ROUNDING = 0.01
"""Pixels by which a coordinate may exceed the image without a fault, because files round fractions of the image."""


@dataclass(frozen=True, slots=True)
class AnnotatedObject:
    """One object as annotated.

    Attributes:
        entry: Its place in the file.
        label: Class name as written; empty if it could not be read.
        outlines: Its polygons, in pixels; a box has four corners.
        pixels: Its pixels, if it has no outline; the size must be that of the image.
        keypoints: Its keypoints in the order of ``data.keypoints.names``; None if it has none.
        faults: Faults that were found without its image.
    """

    entry: str
    label: str
    outlines: tuple[Outline, ...] = ()
    pixels: RunLengthEncoding | None = None
    keypoints: tuple[Keypoint, ...] | None = None
    faults: tuple[Fault, ...] = ()


@dataclass
class ObjectsResult:
    """The result of reading the objects of one image.

    Attributes:
        instances: The usable instances.
        faults: The faults, in the order of the objects.
        dropped: Number of objects left out or clipped, by kind of fault.
        left_out: Number of objects of a known class that are left out, by class and kind of fault.
        ignored: Number of objects with a label of ``data.ignored_labels``.
    """

    instances: list[Instance] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    dropped: Counter[FaultKind] = field(default_factory=Counter)
    left_out: Counter[tuple[str, FaultKind]] = field(default_factory=Counter)
    ignored: int = 0


class ObjectReader:
    """Converts the objects of one image.

    Args:
        file: Name of the annotation file in faults.
        data: Keypoints and fault policies.
        labels: Maps labels to classes.
        size: Width and height of the image; None if they are unknown, so that nothing is drawn.
    """

    def __init__(self, file: str, data: Data, labels: LabelMap, size: tuple[int, int] | None) -> None:
        self._file, self._data, self._labels, self._size = file, data, labels, size
        self._seen: dict[tuple[object, ...], str] = {}

    def read(self, objects: Sequence[AnnotatedObject]) -> ObjectsResult:
        """Check all objects and convert the usable ones."""
        result = ObjectsResult()
        for one in objects:
            target = self._labels.target(one.label)
            if self._labels.is_ignored(target):
                result.ignored += 1
                continue
            rectangle = self._rectangle_inside(one)
            faults = self._check(one, target, drawable=rectangle is not None)
            joined = None
            if is_usable(faults, self._data) and self._size:
                joined = self._joined(one, *self._size) if rectangle is None else join_rectangle(rectangle)
                if joined is None:
                    remedy = "annotate it again or delete it"
                    faults.append(self._fault(one, "zero_area", "it covers no pixels of the image", remedy))
            keypoints: tuple[Keypoint, ...] | None = None
            more: list[Fault] = []
            if joined is not None and self._data.keypoints.names:
                keypoints, more = self._keypoints(one, corners(joined[1]))
            if faults or more:
                self._count(result, target, faults, more)
            if joined is not None:
                result.instances.append(Instance(target, *joined, keypoints))
        return result

    def _count(self, result: ObjectsResult, target: str, faults: list[Fault], more: list[Fault]) -> None:
        """Add the faults of an object and of its keypoints to the result."""
        result.faults += [*faults, *more]
        kind = count_dropped(result.dropped, faults, self._data)
        if kind and kind != "duplicate_shape" and self._labels.is_class(target):
            result.left_out[target, kind] += 1
        result.dropped.update(fault.kind for fault in more if getattr(self._data.faults, fault.kind) != "error")

    def _rectangle_inside(self, one: AnnotatedObject) -> Extent | None:
        """The sides of an object that is a rectangle inside the image; None for all others."""
        if self._size is None or len(one.outlines) != 1 or one.pixels is not None:
            return None
        found = sides(one.outlines[0])
        if found is None or found[0] < 0 or found[1] < 0 or found[2] > self._size[0] or found[3] > self._size[1]:
            return None
        return found

    def _check(self, one: AnnotatedObject, target: str, *, drawable: bool) -> list[Fault]:
        """All faults of an object that can be found without drawing it; its outline has none if it is ``drawable``."""
        faults = list(one.faults)
        if one.label and not self._labels.is_class(target):
            faults.append(self._fault(one, "unknown_label", *self._labels.fault(one.label)))
        if one.faults:
            return faults
        if not drawable and (far := far_coordinate(chain.from_iterable(one.outlines))) is not None:
            reason = f"a coordinate is {far:g}, which is not a position in an image"
            return [*faults, self._fault(one, "not_finite", reason, "annotate it again or delete it")]
        if one.pixels is not None and self._size and one.pixels["size"] != [self._size[1], self._size[0]]:
            rows, columns = one.pixels["size"]
            reason = f"the mask has {columns} x {rows} pixels, the image {self._size[0]} x {self._size[1]}"
            return [*faults, self._fault(one, "broken_row", reason, "annotate it again or delete it")]
        key = target, one.outlines, one.pixels and one.pixels["counts"], one.keypoints
        first = self._seen.setdefault(key, one.entry)
        if first != one.entry:
            faults.append(self._fault(one, "duplicate_shape", f"it is the same as {first}", "delete one of the two"))
        return faults if drawable else faults + self._place(one)

    def _place(self, one: AnnotatedObject) -> list[Fault]:
        if one.outlines and all(is_flat(outline) for outline in one.outlines):
            reason = "its points are on one line, so it covers no area"
            return [self._fault(one, "zero_area", reason, "annotate it again or delete it")]
        if self._size is None or not one.outlines:
            return []
        left, top, right, bottom = _extent(one.outlines)
        width, height = self._size
        if min(left, top) >= -_ROUNDING and right <= width + _ROUNDING and bottom <= height + _ROUNDING:
            return []
        reason = (
            f"it extends from ({left:g}, {top:g}) to ({right:g}, {bottom:g}), outside the image of {width} x {height} "
            "pixels"
        )
        remedy = "move it into the image, or let record clip it (data.faults.outside_image=clip)"
        return [self._fault(one, "outside_image", reason, remedy)]

    def _joined(self, one: AnnotatedObject, width: int, height: int) -> Joined | None:
        regions = list(self._regions(one, width, height))
        return join(regions) if regions else None

    def _regions(self, one: AnnotatedObject, width: int, height: int) -> Iterator[Region]:
        if one.pixels is not None and (area := covered_area(one.pixels)):
            x, y, box_width, box_height = covered_box(one.pixels)
            yield Region((float(x), float(y), float(x + box_width), float(y + box_height)), one.pixels, area, None)
        for outline in one.outlines:
            if not is_flat(outline) and (region := outline_region(outline, width, height)) is not None:
                yield region

    def _keypoints(self, one: AnnotatedObject, box: Extent) -> tuple[tuple[Keypoint, ...], list[Fault]]:
        """All keypoints of an object; misplaced ones are absent or clipped."""
        names = self._data.keypoints.names
        faults: list[Fault] = []
        kept: list[Keypoint] = []
        for name, (x, y, visibility) in zip(names, one.keypoints or ((0.0, 0.0, 0),) * len(names), strict=True):
            fault = misplaced(x, y, box, self._size) if visibility else None
            if fault is not None:
                kind, reason, remedy = fault
                faults.append(Place(self._file, one.entry).fault(kind, reason, remedy, name))
            if visibility == 0 or (fault is not None and fault[0] != "outside_image"):
                kept.append((0.0, 0.0, 0))
            else:
                kept.append((*self._inside(x, y), visibility))
        return tuple(kept), faults

    def _inside(self, x: float, y: float) -> tuple[float, float]:
        width, height = self._size or (0, 0)
        return min(max(x, 0.0), float(width)), min(max(y, 0.0), float(height))

    def _fault(self, one: AnnotatedObject, kind: FaultKind, reason: str, remedy: str) -> Fault:
        return Place(self._file, one.entry).fault(kind, reason, remedy, one.label)


def far_coordinate(points: Iterable[Point]) -> float | None:
    """The first coordinate that is no position in an image: not finite, or beyond :data:`FARTHEST`; None if all are."""
    values = list(chain.from_iterable(points))
    if sum(map(abs, values)) <= FARTHEST:  # nearly always; also false for NaN
        return None
    return next((value for value in values if not math.isfinite(value) or abs(value) > FARTHEST), None)


def _extent(outlines: Sequence[Outline]) -> Extent:
    return extent_of(tuple(point for outline in outlines for point in outline))


def rectangle(left: float, top: float, right: float, bottom: float) -> Outline:
    """The outline of a box."""
    return ((left, top), (right, top), (right, bottom), (left, bottom))
