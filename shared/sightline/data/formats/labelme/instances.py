"""Converts the shapes of one labelme file to instances; faulty shapes are handled according to the policies."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from sightline import strict_json
from sightline.config.data import Data
from sightline.data.annotations import Fault, FaultKind, Instance, Keypoint
from sightline.data.formats.labelme.document import Shape
from sightline.data.formats.labelme.keypoints import KeypointReader, ObjectKey, count_keypoint_faults
from sightline.data.formats.labelme.shapes import (
    AREA_KINDS,
    LINE_KINDS,
    extent,
    outline_of,
    region_of,
    wrong_points,
)
from sightline.data.formats.labels import LabelMap
from sightline.data.formats.objects import far_coordinate
from sightline.data.formats.outlines import Joined, Region, corners, is_flat, join
from sightline.data.formats.reading import count_dropped


@dataclass
class ShapesResult:
    """The result of reading the shapes of one file.

    Attributes:
        instances: The usable instances, in the order of their first shapes.
        faults: The faults, in the order of the shapes.
        dropped: Number of shapes left out or clipped, by kind of fault.
        left_out: Number of shapes of a known class that are left out, by class and kind of fault.
        ignored: Number of shapes with a label of ``data.ignored_labels``.
    """

    instances: list[Instance] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    dropped: Counter[FaultKind] = field(default_factory=Counter)
    left_out: Counter[tuple[str, FaultKind]] = field(default_factory=Counter)
    ignored: int = 0


class ShapeReader:
    """Reads the shapes of one file.

    Args:
        file: Name of the file in faults.
        data: Classes, fault policies, pixel limit.
        labels: Maps labels to classes.
        size: Width and height of the image, or as stated in the file; None if both are unknown.
        draw: Whether to create instances; otherwise only checks that need no pixels are made.
    """

    def __init__(self, file: str, data: Data, labels: LabelMap, *, size: tuple[int, int] | None, draw: bool) -> None:
        self._file, self._data, self._labels = file, data, labels
        self._size, self._draw = size, draw
        self._seen: dict[tuple[object, ...], int] = {}

    def read(self, shapes: tuple[Shape, ...]) -> ShapesResult:
        """Check all shapes and join the usable ones to instances."""
        result = ShapesResult()
        regions: dict[ObjectKey, list[Region]] = {}
        places: dict[ObjectKey, list[int]] = {}
        flags: dict[ObjectKey, set[str]] = {}
        seen: list[ObjectKey] = []
        points: list[Shape] = []
        for shape in shapes:
            if self._labels.is_ignored(shape.target):
                result.ignored += 1
                continue
            if self._data.keypoints.names and shape.kind == "point":
                points.append(shape)
                continue
            key = shape.target, shape.group_id, shape.index if shape.group_id is None else -1
            seen.append(key)
            faults = self._check(shape)
            region = None
            if self._usable(faults) and self._draw and self._size:
                region, more = self._region(shape, self._size)
                faults += more
            result.faults += faults
            kind = count_dropped(result.dropped, faults, self._data)
            if kind and kind != "duplicate_shape" and self._labels.is_class(shape.target):
                result.left_out[shape.target, kind] += 1
            if region is not None:
                regions.setdefault(key, []).append(region)
                places.setdefault(key, []).append(shape.index)
                flags.setdefault(key, set()).update(shape.flags)
        objects = {key: join(parts) for key, parts in regions.items()}
        keypoints: Mapping[ObjectKey, tuple[Keypoint, ...]] = {}
        if self._data.keypoints.names:
            keypoints = self._keypoints(points, {key: objects.get(key) for key in seen}, result)
        result.instances = [
            Instance(key[0], *joined, keypoints.get(key), tuple(places[key]), tuple(sorted(flags[key])))
            for key, joined in objects.items()
        ]
        return result

    def _keypoints(
        self, points: list[Shape], objects: Mapping[ObjectKey, Joined | None], result: ShapesResult
    ) -> dict[ObjectKey, tuple[Keypoint, ...]]:
        """The keypoints of all objects; their faults are added to ``result``."""
        boxes = {key: None if one is None else corners(one[1]) for key, one in objects.items()}
        read = KeypointReader(self._file, self._data, self._size).read(points, boxes)
        faults = [fault for fault in read.faults if self._draw or fault.kind != "outside_image"]
        result.faults = sorted([*result.faults, *faults], key=lambda fault: fault.shape or 0)
        count_keypoint_faults(result.dropped, faults, self._data)
        return read.keypoints

    def _usable(self, faults: list[Fault]) -> bool:
        return all(getattr(self._data.faults, fault.kind) == "clip" for fault in faults)

    def _check(self, shape: Shape) -> list[Fault]:
        """All faults of a shape that can be found without drawing it."""
        faults = []
        if not self._labels.is_class(shape.target):
            faults.append(self._fault("unknown_label", shape, *self._labels.fault(shape.label)))
        if shape.kind not in AREA_KINDS:
            return [*faults, self._no_area(shape)]
        if (miscount := wrong_points(shape)) is not None:
            reason, nothing_enclosed = miscount
            kind: FaultKind = "zero_area" if nothing_enclosed else "broken_json"
            return [*faults, self._fault(kind, shape, reason, "draw the shape again or delete it")]
        if (far := far_coordinate(shape.points)) is not None:
            reason = f"a coordinate is {far:g}, which is not a position in an image"
            faults.append(self._fault("not_finite", shape, reason, "draw the shape again or delete it"))
            return faults
        return faults + self._twice(shape) + self._place(shape)

    def _no_area(self, shape: Shape) -> Fault:
        if shape.kind in LINE_KINDS:
            reason = f"shape type {shape.kind!r} covers no area"
            remedy = "draw a polygon, or let record leave it out (data.faults.unsupported_shape=drop)"
            return self._fault("unsupported_shape", shape, reason, remedy)
        known = (*AREA_KINDS, *LINE_KINDS)
        near = difflib.get_close_matches(shape.kind.lower(), known, n=1)
        meant = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(known)}"
        reason = f"shape type {strict_json.shown(shape.kind)} is not known ({meant})"
        remedy = "draw a polygon, or let record leave it out (data.faults.unknown_shape=drop)"
        return self._fault("unknown_shape", shape, reason, remedy)

    def _twice(self, shape: Shape) -> list[Fault]:
        first = self._seen.setdefault((shape.target, shape.kind, shape.points, shape.mask), shape.index)
        if first == shape.index:
            return []
        return [self._fault("duplicate_shape", shape, f"it is the same as shape {first}", "delete one of the two")]

    def _place(self, shape: Shape) -> list[Fault]:
        left, top, right, bottom = bounds = extent(shape)
        if shape.kind != "mask" and is_flat(outline_of(shape), bounds):
            reason = "its points are on one line, so it covers no area"
            return [self._fault("zero_area", shape, reason, "draw the shape again or delete it")]
        if self._size is None:
            return []
        width, height = self._size
        if left >= 0 and top >= 0 and right <= width and bottom <= height:
            return []
        reason = (
            f"it extends from ({left:g}, {top:g}) to ({right:g}, {bottom:g}), outside the image of {width} x {height} "
            "pixels"
        )
        remedy = "move it into the image, or let record clip it (data.faults.outside_image=clip)"
        return [self._fault("outside_image", shape, reason, remedy)]

    def _region(self, shape: Shape, size: tuple[int, int]) -> tuple[Region | None, list[Fault]]:
        try:
            region = region_of(shape, *size, self._data.max_pixels)
        except ValueError as error:
            return None, [self._fault("broken_json", shape, str(error), "draw the shape again or delete it")]
        if region is None:
            reason = "it covers no pixels of the image"
            return None, [self._fault("zero_area", shape, reason, "draw the shape again or delete it")]
        return region, []

    def _fault(self, kind: FaultKind, shape: Shape, reason: str, remedy: str) -> Fault:
        return Fault(kind, self._file, shape.index, shape.label, reason, remedy)
