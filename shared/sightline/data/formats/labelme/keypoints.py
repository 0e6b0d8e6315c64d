"""Keypoints of labelme files: point shapes that belong to an object by their ``group_id``."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sightline.config.data import Data
from sightline.data.annotations import Fault, FaultKind, Keypoint
from sightline.data.formats.keypoint_places import misplaced
from sightline.data.formats.labelme.document import Shape
from sightline.data.formats.labels import cleaned

OCCLUDED_FLAG = "occluded"
"""The flag of a shape that marks a keypoint as hidden but labeled."""

ObjectKey = tuple[str, int | None, int]
"""Class, ``group_id`` and, without one, the index of the shape."""


@dataclass
class KeypointsResult:
    """The keypoints of the objects of one file.

    Attributes:
        keypoints: Object -> all keypoints in the order of ``data.keypoints.names``.
        faults: The faults, in the order of the shapes.
    """

    keypoints: dict[ObjectKey, tuple[Keypoint, ...]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)


class KeypointReader:
    """Assigns the keypoints of one file to its objects.

    Args:
        file: Name of the file in faults.
        data: Keypoints and fault policies.
        size: Width and height of the image; None if they are unknown.
    """

    def __init__(self, file: str, data: Data, size: tuple[int, int] | None) -> None:
        self._file, self._names, self._size = file, data.keypoints.names, size

    def read(
        self,
        points: Sequence[Shape],
        objects: Mapping[ObjectKey, tuple[float, float, float, float] | None],
    ) -> KeypointsResult:
        """Assign keypoints to objects.

        Args:
            points: The shapes of type point.
            objects: All objects of the file, with their extent (left, top, right, bottom); None for an object that is
                left out for a fault of its own, whose keypoints are left out with it.
        """
        result = KeypointsResult()
        found: dict[ObjectKey, dict[str, Shape]] = {key: {} for key in objects}
        for point in points:
            key, fault = self._object_of(point, list(objects))
            if fault is None and key is not None and (box := objects[key]) is not None:
                fault = self._fault_of(point, found[key], box)
                if fault is None or fault.kind == "outside_image":
                    found[key][cleaned(point.label)] = point
            if fault is not None:
                result.faults.append(fault)
        for key, named in found.items():
            result.keypoints[key] = tuple(self._keypoint(named.get(name)) for name in self._names)
        return result

    def _object_of(self, point: Shape, objects: Sequence[ObjectKey]) -> tuple[ObjectKey | None, Fault | None]:
        name = cleaned(point.label)
        if name not in self._names:
            near = difflib.get_close_matches(name, self._names, n=1, cutoff=0.6)
            meant = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(self._names)}"
            return None, self._fault(point, f"the point is not in data.keypoints.names ({meant})", "rename it")
        if len(point.points) != 1:
            return None, self._fault(point, f"a keypoint has 1 point, got {len(point.points)}", "draw it again")
        if point.group_id is None:
            owners = list(objects) if len(objects) == 1 else []
            reason = (
                "the keypoint has no group_id, but the image has no object"
                if not objects
                else f"the keypoint has no group_id, but the image has {len(objects)} objects"
            )
        else:
            owners = [key for key in objects if key[1] == point.group_id]
            reason = f"the keypoint has group_id {point.group_id}, but {len(owners) or 'no'} objects have it"
            if not owners and len(objects) == 1 and next(iter(objects))[1] is None:
                owners = list(objects)
        if len(owners) != 1:
            return None, self._fault(point, reason, "give keypoint and object the same group_id")
        return owners[0], None

    def _fault_of(
        self, point: Shape, named: Mapping[str, Shape], box: tuple[float, float, float, float]
    ) -> Fault | None:
        (x, y), name = point.points[0], cleaned(point.label)
        if name in named:
            reason = f"its object already has this keypoint (shape {named[name].index})"
            return self._fault(point, reason, "delete one of the two, or correct label or group_id")
        if (wrong := misplaced(x, y, box, self._size)) is not None:
            kind, reason, remedy = wrong
            return self._fault(point, reason, remedy, kind)
        return None

    def _keypoint(self, point: Shape | None) -> Keypoint:
        if point is None:
            return (0.0, 0.0, 0)
        (x, y) = point.points[0]
        if self._size is not None:
            x, y = min(max(x, 0.0), float(self._size[0])), min(max(y, 0.0), float(self._size[1]))
        return (x, y, 1 if OCCLUDED_FLAG in point.flags else 2)

    def _fault(self, point: Shape, reason: str, remedy: str, kind: FaultKind = "bad_keypoint") -> Fault:
        return Fault(kind, self._file, point.index, point.label, reason, remedy)


def count_keypoint_faults(dropped: Counter[FaultKind], faults: Sequence[Fault], data: Data) -> None:
    """Count keypoints that are left out or clipped."""
    dropped.update(fault.kind for fault in faults if getattr(data.faults, fault.kind) != "error")
