"""Strict parsing of labelme's JSON: bytes in, typed fields and named faults out."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

from sightline import strict_json
from sightline.data.annotations import Fault
from sightline.data.formats.labels import cleaned
from sightline.plural import counted

MAX_JSON_BYTES = 256 * 1024**2
"""A larger file is rejected unread; labelme's files with an embedded image have some ten megabytes."""

_SAVE_AGAIN = "open it in labelme and save it again, or restore it from an older version"


@dataclass(frozen=True, slots=True)
class Shape:
    """One shape as in the file; the types of its fields are checked, their values are not.

    Attributes:
        index: Index in the file, from 0.
        label: Class name as written; the reader resolves it to :attr:`target`.
        target: The class that the label means.
        kind: labelme's ``shape_type``; if it is missing, as in files of labelme 3, the shape is a polygon.
        points: ``(x, y)`` in pixels; NaN and infinity are possible.
        group_id: Shapes with the same label and number are one instance; None: an instance of its own.
        mask: Base64 text of a PNG, for the kind ``mask``.
        flags: Flags of the shape that are true.
    """

    index: int
    label: str
    target: str
    kind: str
    points: tuple[tuple[float, float], ...]
    group_id: int | None
    mask: str | None
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LabelmeFile:
    """One annotation file with fields of the correct types.

    Attributes:
        image_path: ``imagePath`` as in the file.
        image_data: The bytes of the embedded image, or None.
        width: ``imageWidth`` in pixels, or None if it is missing.
        height: ``imageHeight`` in pixels, or None if it is missing.
        flags: Image-level flags that are true.
        group: The top-level ``group``, or an empty string.
        shapes: The shapes whose fields have the correct types.
        labels: The labels of all shapes that have a label.
    """

    image_path: str
    image_data: bytes | None
    width: int | None
    height: int | None
    flags: tuple[str, ...]
    group: str
    shapes: tuple[Shape, ...]
    labels: tuple[str, ...]


class _WrongFieldError(ValueError):
    """A field that differs from labelme's format, with the reason and remedy of the fault."""

    def __init__(self, reason: str, remedy: str = _SAVE_AGAIN) -> None:
        super().__init__(reason)
        self.remedy = remedy


def parse(content: bytes, file: str) -> tuple[LabelmeFile | None, list[Fault]]:
    """Read one labelme file.

    Args:
        content: The file's bytes: UTF-8, with or without a byte order mark.
        file: Name of the file in faults.

    Returns:
        The file, or None if it cannot be used at all; and the faults.  A shape with a field of the wrong type is a
        separate fault and does not affect the other shapes.
    """
    try:
        document = _decode(content)
        return _file(document, file)
    except _WrongFieldError as error:
        return None, [_fault(file, str(error), error.remedy)]
    except strict_json.EncodingError as error:
        return None, [_fault(file, str(error), "save the file as UTF-8")]
    except strict_json.JsonError as error:
        return None, [_fault(file, str(error))]


def _fault(
    file: str, reason: str, remedy: str = _SAVE_AGAIN, shape: int | None = None, label: str | None = None
) -> Fault:
    return Fault("broken_json", file, shape, label, reason, remedy)


def _decode(content: bytes) -> dict[str, Any]:
    document = strict_json.decode(content, max_bytes=MAX_JSON_BYTES, finite=False)
    if not isinstance(document, dict):
        raise _WrongFieldError(f"expected an object with 'shapes' and 'imagePath', got {_name(document)}")
    if b"NaN" in content or b"Infinity" in content or strict_json.may_overflow(content):
        _refuse_constants(document)
    return document


def _refuse_constants(document: dict[str, Any]) -> None:
    """Reject NaN and Infinity, except in points, where they are a fault of the shape only."""
    for path, value in _numbers(document, ""):
        if not math.isfinite(value) and not (path.startswith("shapes[") and "].points[" in path):
            raise _WrongFieldError(f"{path} is {value}, which is not JSON")


def _numbers(value: object, path: str) -> Iterator[tuple[str, float]]:
    if isinstance(value, float):
        yield path, value
    elif isinstance(value, dict):
        for key, child in value.items():
            yield from _numbers(child, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _numbers(child, f"{path}[{index}]")


def _file(document: dict[str, Any], file: str) -> tuple[LabelmeFile, list[Fault]]:
    if "shapes" not in document:
        raise _WrongFieldError("no 'shapes', so this is not a labelme file", "move it out of the folder")
    entries = document["shapes"]
    if not isinstance(entries, list):
        raise _WrongFieldError(f"'shapes' must be a list, got {_name(entries)}")
    image_path = document.get("imagePath")
    if not isinstance(image_path, str):
        raise _WrongFieldError(f"'imagePath' must be a string, got {_name(image_path)}")
    faults, shapes = [], []
    for index, entry in enumerate(entries):
        try:
            shapes.append(_shape(index, entry))
        except _WrongFieldError as error:
            faults.append(_fault(file, str(error), error.remedy, index, _label(entry)))
    return LabelmeFile(
        image_path=image_path,
        image_data=_image_data(document.get("imageData")),
        width=_length(document, "imageWidth"),
        height=_length(document, "imageHeight"),
        flags=_flags(document),
        group=_group(document.get("group")),
        shapes=tuple(shapes),
        labels=tuple(label for entry in entries if (label := _label(entry)) is not None),
    ), faults


def _shape(index: int, entry: object) -> Shape:
    if not isinstance(entry, dict):
        raise _WrongFieldError(f"a shape must be an object, got {_name(entry)}")
    label = entry.get("label")
    if not isinstance(label, str):
        raise _WrongFieldError(f"'label' must be a string, got {_name(label)}")
    if not cleaned(label):
        raise _WrongFieldError("'label' is empty", "give the shape a label, or delete it")
    kind = entry.get("shape_type")
    if kind is not None and not isinstance(kind, str):
        raise _WrongFieldError(f"'shape_type' must be a string, got {_name(kind)}")
    group_id = entry.get("group_id")
    if group_id is not None and (isinstance(group_id, bool) or not isinstance(group_id, int)):
        raise _WrongFieldError(f"'group_id' must be a whole number or null, got {_name(group_id)}")
    mask = entry.get("mask")
    if mask is not None and not isinstance(mask, str):
        raise _WrongFieldError(f"'mask' must be a string, got {_name(mask)}")
    flags, points = _flags(entry), _points(entry.get("points"))
    return Shape(index, label, label, "polygon" if kind is None else kind, points, group_id, mask, flags)


def _points(value: object) -> tuple[tuple[float, float], ...]:
    if not isinstance(value, list):
        raise _WrongFieldError(f"'points' must be a list, got {_name(value)}")
    are_pairs = set(map(type, value)) == {list} and set(map(len, value)) == {2}
    if are_pairs and set(map(type, chain.from_iterable(value))) == {float}:
        return tuple((x, y) for x, y in value)
    points = []
    for index, point in enumerate(value):
        if not isinstance(point, list) or len(point) != 2:
            raise _WrongFieldError(f"'points' must contain pairs [x, y], but point {index} is {_name(point)}")
        points.append((_coordinate(point[0], index), _coordinate(point[1], index)))
    return tuple(points)


def _coordinate(value: object, index: int) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _WrongFieldError(f"'points' must contain numbers, but point {index} contains {_name(value)}")
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _length(document: dict[str, Any], key: str) -> int | None:
    value = document.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1 or not 0 < value < 2**31:
        raise _WrongFieldError(f"{key!r} must be a positive whole number or null, got {_name(value)}")
    return int(value)


def _flags(document: dict[str, Any]) -> tuple[str, ...]:
    flags = document.get("flags")
    if flags is None:
        return ()
    if not isinstance(flags, dict):
        raise _WrongFieldError(f"'flags' must be an object, got {_name(flags)}")
    for name, value in flags.items():
        if not isinstance(value, bool):
            raise _WrongFieldError(f"flag {strict_json.shown(name)} must be true or false, got {_name(value)}")
    return tuple(sorted(name for name, value in flags.items() if value))


def _group(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise _WrongFieldError(f"'group' must be a string or a whole number, got {_name(value)}")
    return str(value)


def _image_data(value: object) -> bytes | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise _WrongFieldError(f"'imageData' must be a string or null, got {_name(value)}")
    return decode_base64(value, "imageData")


def decode_base64(text: str, name: str) -> bytes:
    """Decode base64 text; line breaks are allowed, other foreign characters are not.

    Raises:
        ValueError: The text is not base64, or empty; the message names the field ``name``.
    """
    try:
        content = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise _WrongFieldError(f"'{name}' is not base64 ({error})") from error
    if not content:
        raise _WrongFieldError(f"'{name}' is empty")
    return content


def _label(entry: object) -> str | None:
    label = entry.get("label") if isinstance(entry, dict) else None
    return label if isinstance(label, str) and cleaned(label) else None


def _name(value: object) -> str:
    """A value in an error message: its JSON type, and the value if it is short."""
    if isinstance(value, str):
        return f"the string {strict_json.shown(value)}"
    if isinstance(value, list):
        return f"a list of {counted(len(value), 'item')}"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"the number {value}" if abs(value) < 10**15 else "a huge number"
    return {None: "null", True: "true", False: "false"}[value] if value in (None, True, False) else "an object"
