"""The formats of annotations by name; each is imported on use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sightline.config.data import AUTO_FORMAT, Data
from sightline.data.annotations import Annotations
from sightline.names import NameTable

FORMATS = NameTable(
    "format",
    {
        "labelme": "sightline.data.formats.labelme.folder:read_folder",
        "folders": "sightline.data.formats.folders:read_folder",
        "csv": "sightline.data.formats.csv_file:read_folder",
        "coco": "sightline.data.formats.coco_files:read_folder",
        "yolo": "sightline.data.formats.yolo:read_folder",
    },
)
"""Reads a folder of annotations of the format."""


IMAGE_LABEL_FORMATS = ("folders", "csv")
"""Formats whose labels are always those of whole images."""


def read_annotations(folder: Path, data: Data, *, classes_known: bool = True) -> Annotations:
    """Read a folder of annotations of any format.

    Args:
        folder: The folder; no file outside is opened.
        data: Format, classes, label sets, keypoints, fault policies, limits.
        classes_known: Whether labels are checked against ``data.classes``; if not, every label is accepted.

    Returns:
        The usable images, all faults, and counts of what the policies left out.

    Raises:
        DataError: The folder has no annotations of the format, or none or several formats are recognized.
    """
    name = data.format
    if name == AUTO_FORMAT:
        from sightline.data.formats.recognition import recognized

        name = recognized(folder)
    read: Callable[..., Annotations] = FORMATS.load(name, "data.format")
    return read(folder, data, classes_known=classes_known)
