"""Reads one labelme file and its image."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

from sightline.config.data import Data
from sightline.data.annotations import Fault, LabelledImage
from sightline.data.formats.grouping import group_of_image
from sightline.data.formats.image_labels import LabelSetReader
from sightline.data.formats.labelme.document import MAX_JSON_BYTES, LabelmeFile, Shape, parse
from sightline.data.formats.labelme.image import FoundImage, find_image, is_inside
from sightline.data.formats.labelme.instances import ShapeReader, ShapesResult
from sightline.data.formats.labels import LabelMap
from sightline.data.formats.reading import FileReading, count_dropped


def read_file(root: Path, file: str, data: Data, classes_known: bool) -> FileReading:
    """Read one labelme file and its image.

    Args:
        root: The annotation folder; no file outside is opened.
        file: Path of the JSON file relative to ``root``, POSIX.
        data: Classes, ignored labels, fault policies, limits.
        classes_known: Whether labels are checked against ``data.classes``.

    Returns:
        The reading; faults of the data are part of it and raise no exception.
    """
    reading = FileReading(_shown(file))
    parsed, shape_faults = _parse(root, file)
    if parsed is None:
        reading.faults = shape_faults
        count_dropped(reading.dropped, shape_faults, data)
        return reading
    if data.label_sets:
        return _read_labels(root, file, parsed, data, reading)
    reading.labels.update(parsed.labels)
    labels = LabelMap(data, classes_known=classes_known)
    meant = tuple(_with_target(shape, labels) for shape in parsed.shapes)
    if not classes_known:
        objects = [shape for shape in meant if not (shape.kind == "point" and shape.label in data.keypoints.names)]
        reading.places = tuple((shape.index, "", shape.label) for shape in objects)
        reading.labels = Counter(shape.label for shape in objects) if data.keypoints.names else reading.labels
        reading.points = tuple(shape.label for shape in meant if shape.kind == "point")
    found, reading.names, file_faults = find_image(root, file, parsed, data.max_pixels)
    file_faults += _compare_sizes(file, parsed, found)
    shapes = ShapeReader(file, data, labels, size=_size(parsed, found), draw=found is not None).read(meant)
    reading.ignored = shapes.ignored
    reading.faults = [*file_faults, *sorted([*shape_faults, *shapes.faults], key=lambda fault: fault.shape or 0)]
    if found is None or any(getattr(data.faults, fault.kind) != "embedded" for fault in file_faults):
        kind = count_dropped(reading.dropped, file_faults, data)
        if kind:
            reading.left_out.update((shape.target, kind) for shape in meant if labels.is_class(shape.target))
        return reading
    reading.dropped, reading.left_out = shapes.dropped, shapes.left_out
    count_dropped(reading.dropped, file_faults, data)
    for fault in shape_faults:
        kind = count_dropped(reading.dropped, [fault], data)
        if kind and fault.label and labels.is_class(target := labels.target(fault.label)):
            reading.left_out[target, kind] += 1
    reading.image = _labelled_image(file, parsed, found, shapes, data)
    return reading


def _read_labels(root: Path, file: str, parsed: LabelmeFile, data: Data, reading: FileReading) -> FileReading:
    """Read the flags of a file as labels of its image; the shapes are not used."""
    reading.labels.update(parsed.flags)
    found, reading.names, reading.faults = find_image(root, file, parsed, data.max_pixels)
    labels, faults = LabelSetReader(data).from_names(parsed.flags, file)
    reading.faults += [*_compare_sizes(file, parsed, found), *faults]
    kind = count_dropped(reading.dropped, reading.faults, data)
    if kind:
        reading.left_out.update((label, kind) for label in labels)
    if found is not None and all(getattr(data.faults, fault.kind) == "embedded" for fault in reading.faults):
        reading.image = replace(_labelled_image(file, parsed, found, ShapesResult(), data), labels=labels)
    return reading


def _with_target(shape: Shape, labels: LabelMap) -> Shape:
    target = labels.target(shape.label)
    return shape if target == shape.target else replace(shape, target=target)


def _shown(file: str) -> str:
    """A name as text; Python represents bytes of a name that are not UTF-8 as surrogates."""
    return file.encode("utf-8", "backslashreplace").decode()


def _parse(root: Path, file: str) -> tuple[LabelmeFile | None, list[Fault]]:
    if (shown := _shown(file)) != file:
        return None, [Fault("unsafe_path", shown, None, None, "the file's name is not UTF-8", "rename the file")]
    path = root / file
    if not is_inside(os.path.realpath(root), os.path.realpath(path)):
        reason, remedy = "the file is a link that leads outside the folder", "replace it with the file itself"
        return None, [Fault("unsafe_path", file, None, None, reason, remedy)]
    try:
        size = path.stat().st_size if path.is_file() else -1
        if 0 <= size <= MAX_JSON_BYTES:
            return parse(path.read_bytes(), file)
        reason = f"it has {size:,} bytes, more than {MAX_JSON_BYTES:,}" if size >= 0 else "it is not a regular file"
    except OSError as error:
        reason = f"the file cannot be read ({error.strerror or error})"
    remedy = "check what it is, or remove it from the folder"
    return None, [Fault("broken_json", file, None, None, reason, remedy)]


def _size(parsed: LabelmeFile, found: FoundImage | None) -> tuple[int, int] | None:
    if found is not None:
        return found.facts.width, found.facts.height
    return (parsed.width, parsed.height) if parsed.width and parsed.height else None


def _compare_sizes(file: str, parsed: LabelmeFile, found: FoundImage | None) -> list[Fault]:
    if found is None:
        return []
    actual = found.facts.width, found.facts.height
    stated = parsed.width or actual[0], parsed.height or actual[1]
    if stated == actual:
        return []
    turned = ", its sides swapped: labeled with another EXIF orientation" if stated == actual[::-1] else ""
    reason = (
        f"imageWidth x imageHeight is {stated[0]} x {stated[1]}, but the image has {actual[0]} x {actual[1]} pixels"
        f"{turned}"
    )
    remedy = "check in labelme that the shapes fit the image, and save it again"
    return [Fault("wrong_image_size", file, None, None, reason, remedy)]


def _labelled_image(
    file: str, parsed: LabelmeFile, found: FoundImage, shapes: ShapesResult, data: Data
) -> LabelledImage:
    facts = found.facts
    return LabelledImage(
        file=file,
        image=found.path,
        embedded=found.embedded,
        width=facts.width,
        height=facts.height,
        size_bytes=facts.size_bytes,
        sha256=facts.sha256,
        perceptual_hash=facts.perceptual_hash,
        group=group_of_image(parsed.group, found.path, data.group_pattern, facts.sha256),
        flags=parsed.flags,
        instances=tuple(shapes.instances),
    )
