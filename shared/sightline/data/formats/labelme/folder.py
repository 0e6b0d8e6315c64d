"""Reads a folder of labelme files; all faults are collected, and nothing is left out silently."""

from __future__ import annotations

import os
from collections import Counter
from functools import partial
from pathlib import Path

from sightline.config.data import Data
from sightline.config.labels import SINGLE_SET, Keypoints
from sightline.data.annotations import Annotations
from sightline.data.folder_files import list_files
from sightline.data.formats.coco_files import mirrored_names
from sightline.data.formats.joining import Found, join_readings
from sightline.data.formats.labelme.file import read_file
from sightline.data.formats.labels import cleaned
from sightline.data.formats.parallel import read_all
from sightline.data.formats.reading import FileReading
from sightline.errors import DataError
from sightline.plural import counted

MAX_KEYPOINTS = 1000
"""More labels of points are not taken for keypoints."""


def read_folder(root: Path, data: Data, *, classes_known: bool = True) -> Annotations:
    """Read every labelme file below a folder, with its image.

    The rule of :mod:`sightline.data.folder_files` determines the files.  With ``data.jobs`` above 1, a large folder is
    read by that many processes.

    Args:
        root: The folder; no file outside is opened.
        data: Classes, ignored labels, fault policies, limits.
        classes_known: Whether labels are checked against ``data.classes``; if not, every label is accepted.

    Returns:
        The usable images, all faults, and counts of shapes and images that the policies left out or clipped.  Shapes
        and images with a fault whose policy is ``error`` are left out too; see
        :func:`sightline.data.formats.reading.stopping_faults`.

    Raises:
        DataError: The folder does not exist or has no JSON file, or a process that read images was killed.
    """
    files, images = _listing(root)
    readings = read_all(partial(_read, root, data, classes_known), files, root, data.jobs)
    if not classes_known and not data.keypoints.names and (names := _keypoint_names(readings)):
        keypoints = Keypoints.model_validate({"names": names, "flip_pairs": mirrored_names(names)})
        return read_folder(root, data.model_copy(update={"keypoints": keypoints}), classes_known=False)
    if not classes_known and not any(reading.labels for reading in readings):
        _take_flags(readings)
    found = Found(
        "labelme", len(files), len(_unlabelled(root, images, readings)), keypoints=data.keypoints, table=files[0]
    )
    return join_readings(readings, found, data, classes_known=classes_known)


def _keypoint_names(readings: list[FileReading]) -> list[str]:
    """The labels of points that look like keypoints: no object has them, and most files with objects have points."""
    if 2 * sum(bool(reading.points) for reading in readings) < sum(bool(reading.labels) for reading in readings):
        return []  # single points are mistakes
    points = Counter(point for reading in readings for point in reading.points)
    labels = sum((Counter[str](reading.labels) for reading in readings), Counter[str]())
    names = [name for name in points if labels[name] == points[name] and cleaned(name) == name]
    return names[:MAX_KEYPOINTS] if labels.keys() - points.keys() else []


def _take_flags(readings: list[FileReading]) -> None:
    """Take the flags for labels of the images, because there are no shapes."""
    for reading in readings:
        flags = reading.image.flags if reading.image else ()
        reading.labels.update(flags)
        parts = [flag.partition("/") for flag in flags]
        reading.label_sets = tuple((left, right) if right else (SINGLE_SET, left) for left, _, right in parts)


def _read(root: Path, data: Data, classes_known: bool, file: str) -> FileReading:
    return read_file(root, file, data, classes_known)


def _listing(root: Path) -> tuple[list[str], set[str]]:
    """All JSON files, sorted, and all image files: POSIX paths relative to ``root``; see ``folder_files``."""
    found = list_files(root)
    files, images = found.annotation_files, set(found.images)
    if not files:
        held = (
            f"contains {counted(len(images), 'image')}, but no .json file"
            if images
            else "contains no images and no .json files"
        )
        what = held if any(root.iterdir()) else "is empty"
        raise DataError(f"{root} {what}; label images with labelme first, or give another folder")
    return files, images


def _unlabelled(root: Path, images: set[str], readings: list[FileReading]) -> set[str]:
    """Images without a JSON file: no ``imagePath`` leads to them, not even by a link, and none has the same name."""
    named = {reading.names for reading in readings}
    without = {os.path.splitext(reading.file)[0] for reading in readings if not reading.names}  # noqa: PTH122
    base = os.path.realpath(root)
    return {
        image
        for image in images - named
        if os.path.relpath(os.path.realpath(root / image), base) not in named
        and os.path.splitext(image)[0] not in without  # noqa: PTH122
    }
