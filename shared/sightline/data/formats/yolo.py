"""Reads YOLO data sets in the layout of Ultralytics: boxes, polygons or boxes with keypoints, as shares of the image.

An empty label file means an image without objects; an image without a label file is not part of the dataset.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from sightline.config.data import Data
from sightline.data.annotations import Annotations, Fault, FaultKind, Keypoint
from sightline.data.folder_files import list_files
from sightline.data.formats.coco_entries import Category, category_faults
from sightline.data.formats.image_index import ImageIndex, Place
from sightline.data.formats.image_reader import AnnotatedImage, ImageReader
from sightline.data.formats.joining import Found, join_readings
from sightline.data.formats.objects import AnnotatedObject, rectangle
from sightline.data.formats.outlines import Outline
from sightline.data.formats.parallel import read_all
from sightline.data.formats.reading import FileReading
from sightline.data.formats.yolo_layout import Pairing, YoloDescription, YoloImage, describe
from sightline.errors import DataError

ROUNDING = 1e-4
"""A coordinate may be this far outside 0 to 1 without a fault, because files round to a few digits."""

_MAX_BYTES = 64 * 1024**2
_FARTHEST = 2.0
"""A coordinate as far outside is not a share of the image."""

_AGAIN = "correct the line or delete it"


class _LineError(ValueError):
    """A line that cannot be used, with the kind and reason of the fault."""

    def __init__(self, kind: FaultKind, reason: str) -> None:
        super().__init__(reason)
        self.kind: FaultKind = kind


def read_folder(root: Path, data: Data, *, classes_known: bool = True) -> Annotations:
    """Read a YOLO data set.

    ``dataset.yaml`` or ``data.yaml`` names the classes and the folders of the splits; without one, all images are read,
    ``classes.txt`` names the classes, and a folder such as ``train`` the split.

    Args:
        root: The folder; no file outside is opened.
        data: Classes, keypoints, fault policies, limits.
        classes_known: Whether the names are checked against ``data.classes``.

    Raises:
        DataError: No image has a label file, or the task classifies images.
    """
    if classes_known and data.label_sets:
        raise DataError(
            f"{root}: YOLO label files have objects, but the task classifies whole images; use a recipe for detection"
        )
    files = list_files(root)
    description = describe(root, files)
    pairing = Pairing(root, files, ImageIndex(files), description)
    faults = [*description.faults, *pairing.faults, *_keypoint_faults(description, data, classes_known)]
    if not pairing.images and not faults:
        raise DataError(
            f"{root} has no YOLO label file; expected labels/<name>.txt for images/<name>.jpg, or both in one folder"
        )
    reader = LabelFileReader(root, data, description, classes_known=classes_known)
    readings = read_all(reader.read, pairing.images, root, data.jobs, unit="images")
    found = Found("yolo", len(pairing.images), pairing.unlabelled, tuple(faults), description.keypoints)
    return join_readings(readings, found, data, classes_known=classes_known)


def _keypoint_faults(description: YoloDescription, data: Data, classes_known: bool) -> list[Fault]:
    declared, wanted = description.keypoints.names, data.keypoints.names
    if not classes_known or not wanted:
        return []
    place = Place(description.file, "kpt_shape")
    if description.named_keypoints:
        return category_faults(Category("", declared), wanted, place)
    if len(declared) == len(wanted):
        return []
    reason = f"objects have {len(declared) or 'no'} keypoints, but data.keypoints.names has {len(wanted)}"
    return [place.fault("bad_keypoint", reason, "correct kpt_shape or data.keypoints.names")]


class LabelFileReader:
    """Reads label files with their images; it can be sent to other processes.

    Args:
        root: The folder.
        data: Classes, keypoints, fault policies, limits.
        description: What the YAML file says.
        classes_known: Whether labels are checked against ``data.classes``.
    """

    def __init__(self, root: Path, data: Data, description: YoloDescription, *, classes_known: bool) -> None:
        self._images = ImageReader(root, data, classes_known=classes_known)
        self._root, self._names, self._data = root, description.names, data
        self._keypoints, self._values = description.keypoints, description.values_per_keypoint
        self._named = description.named_keypoints

    def read(self, item: YoloImage) -> FileReading:
        """Read one label file and its image."""
        text, faults = _text(self._root / item.label_file, Place(item.label_file))
        image = AnnotatedImage(Place(item.label_file), item.image, split=item.split)
        facts, broken = self._images.facts(image)
        size = (facts.width, facts.height) if facts else (1, 1)
        lines = [(f"line {number}", line) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
        objects = tuple(self._object(line, item.label_file, entry, size) for entry, line in lines)
        image = AnnotatedImage(image.place, item.image, objects=objects, split=item.split)
        return self._images.finish(image, facts, [*faults, *broken])

    def _object(self, line: str, file: str, entry: str, size: tuple[int, int]) -> AnnotatedObject:
        label = ""
        try:
            number, *values = _numbers(line)
            label = self._label(number)
            outline, keypoints = self._shape(values, size)
        except _LineError as error:
            fault = Place(file, entry).fault(error.kind, str(error), _AGAIN, label or None)
            return AnnotatedObject(entry, label, faults=(fault,))
        return AnnotatedObject(entry, label, (outline,), keypoints=keypoints)

    def _label(self, number: float) -> str:
        """The name of a class; its number if there are no names."""
        if number < 0 or number != int(number):
            raise _LineError("broken_row", f"the class is {number:g}, expected a whole number from 0")
        count = len(self._names)
        if self._names and number >= count:
            reason = f"the class is {number:g}, but 'names' has only {count} (0 to {count - 1})"
            raise _LineError("broken_row", reason)
        return self._names[int(number)] if self._names else str(int(number))

    def _shape(self, values: Sequence[float], size: tuple[int, int]) -> tuple[Outline, tuple[Keypoint, ...] | None]:
        width, height = size
        count = len(self._keypoints.names)
        if count:
            expected = 4 + count * self._values
            if len(values) != expected:
                kind: FaultKind = "bad_keypoint" if len(values) > 4 else "broken_row"
                reason = (
                    f"the line has {len(values) + 1} values, expected {expected + 1}: class, box and {count} keypoints"
                )
                raise _LineError(kind, reason)
            return _box(values[:4], width, height), self._points(values[4:], width, height)
        if len(values) == 4:
            return _box(values, width, height), None
        if len(values) < 6 or len(values) % 2:
            reason = f"the line has {len(values) + 1} values, expected 5 (class and box) or a class and pairs x, y"
            raise _LineError("broken_row", reason)
        _require_shares(values)
        return tuple((_pixels(x, width), _pixels(y, height)) for x, y in _pairs(values)), None

    def _points(self, values: Sequence[float], width: int, height: int) -> tuple[Keypoint, ...] | None:
        """All keypoints in the order of ``data.keypoints.names``; None if there are none, or another number."""
        wanted = self._data.keypoints.names
        points: list[Keypoint] = []
        for start in range(0, len(values), self._values):
            x, y, *rest = values[start : start + self._values]
            visibility = rest[0] if rest else 2 * bool(x or y)
            if visibility not in (0, 1, 2):
                raise _LineError("bad_keypoint", f"the visibility of a keypoint is {visibility:g}, expected 0, 1 or 2")
            if visibility:
                _require_shares((x, y))
            place = (_pixels(x, width), _pixels(y, height)) if visibility else (0.0, 0.0)
            points.append((*place, int(visibility)))
        names = self._keypoints.names if self._named else wanted
        if not wanted or len(names) != len(points):
            return None
        found = dict(zip(names, points, strict=True))
        return tuple(found.get(name, (0.0, 0.0, 0)) for name in wanted)


def _text(path: Path, place: Place) -> tuple[str, list[Fault]]:
    try:
        if path.stat().st_size > _MAX_BYTES:
            reason = f"the file has more than {_MAX_BYTES:,} bytes"
            return "", [place.fault("broken_row", reason, "check what it is")]
        return path.read_bytes().decode("utf-8-sig"), []
    except UnicodeDecodeError as error:
        reason = f"the file is not text (byte 0x{error.object[error.start]:02x} at {error.start})"
    except OSError as error:
        reason = f"the file cannot be read ({error.strerror or error})"
    return "", [place.fault("broken_row", reason, "export it again, or remove it")]


def _numbers(line: str) -> list[float]:
    words = line.split()
    try:
        values = list(map(float, words))
    except ValueError as error:
        word = next(word for word in words if not _is_number(word))
        raise _LineError("broken_row", f"{word[:40]!r} is not a number") from error
    if all(map(math.isfinite, values)):
        return values
    bad = next(value for value in values if not math.isfinite(value))
    raise _LineError("not_finite", f"a value is {bad}, which is not a position in an image")


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _box(values: Sequence[float], width: int, height: int) -> Outline:
    x, y, box_width, box_height = values
    _require_shares(values)
    if box_width <= 0 or box_height <= 0:
        raise _LineError("zero_area", f"the box is {box_width:g} x {box_height:g} of the image")
    across, down = box_width / 2, box_height / 2
    shares = x - across, y - down, x + across, y + down
    if min(shares) < 0 or max(shares) > 1:
        shares = _inside(shares[0]), _inside(shares[1]), _inside(shares[2]), _inside(shares[3])
    left, top, right, bottom = shares
    return rectangle(round(left * width, 6), round(top * height, 6), round(right * width, 6), round(bottom * height, 6))


def _require_shares(values: Sequence[float]) -> None:
    if min(values) >= 1 - _FARTHEST and max(values) <= _FARTHEST:
        return
    far = next(value for value in values if not 1 - _FARTHEST <= value <= _FARTHEST)
    raise _LineError("broken_row", f"a coordinate is {far:g}, expected a share of the image from 0 to 1, not pixels")


def _inside(share: float) -> float:
    """A share of the image without rounding beyond its border."""
    return min(max(share, 0.0), 1.0) if -ROUNDING <= share <= 1 + ROUNDING else share


def _pixels(share: float, length: int) -> float:
    """A share of the image in pixels, to six decimals, so that a whole number of pixels stays one."""
    return round((share if 0 <= share <= 1 else _inside(share)) * length, 6)


def _pairs(values: Sequence[float]) -> list[tuple[float, float]]:
    return list(zip(values[::2], values[1::2], strict=True))
