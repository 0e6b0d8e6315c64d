"""Reads a dataset for the tools: any format, and without a recipe the classes that the dataset itself has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sightline.config.data import Data
from sightline.config.labels import Keypoints, LabelSet, class_names
from sightline.data.annotations import Annotations
from sightline.data.folder_files import list_files
from sightline.data.formats.registry import read_annotations
from sightline.data.tools.listing import refuse
from sightline.data.tools.yolo_source import find_yolo
from sightline.errors import DataError


def read_dataset(source: Path, data: Data, *, classes_known: bool) -> tuple[Annotations, Data]:
    """Read a folder of annotations of any format.

    Args:
        source: The folder.
        data: Format, classes, label sets, keypoints, fault policies.
        classes_known: Whether ``data`` has the classes; if not, they are those of the dataset, with its label sets and
            keypoints.

    Returns:
        The annotations, and ``data`` with the classes, label sets and keypoints.

    Raises:
        DataError: There are faults whose policy is ``error``, files that cannot be part of a version, or no image; the
            message lists them.
    """
    if not classes_known:
        # A tool needs no second class, and no label of every image.
        data = data.model_copy(update={"faults": data.faults.model_copy(update={"missing_label": "drop"})})
    annotations, data = describe_dataset(source, data, classes_known=classes_known)
    list_files(source).require_accepted()
    stopping = [str(fault) for fault in annotations.faults if getattr(data.faults, fault.kind) == "error"]
    refuse(str(source), stopping)
    return annotations, data


def describe_dataset(source: Path, data: Data, *, classes_known: bool) -> tuple[Annotations, Data]:
    """Like :func:`read_dataset`, but faults do not stop it.

    Raises:
        DataError: The folder has no annotations, both objects and labels of whole images, or no image can be used.
    """
    if not source.is_dir():
        raise DataError(f"{source} is not a folder; give the folder with the annotations and the images")
    annotations = read_annotations(source, data, classes_known=classes_known)
    if not classes_known:
        if annotations.label_sets and any(image.instances for image in annotations.images):
            raise DataError(
                f"{source} has objects and labels of whole images; name the classes of one of them with "
                "--set data.classes=[...] or --set data.label_sets=..."
            )
        data = _described(source, annotations, data)
        if data.label_sets or data.keypoints.names:
            # Misspellings only show while the classes are not known.
            spelling = [fault for fault in annotations.faults if fault.kind == "unknown_label"]
            again = read_annotations(source, data)
            annotations = replace(again, faults=[*spelling, *again.faults])
    if not annotations.images:
        faults = [str(fault) for fault in annotations.faults]
        refuse(f"{source} has no image that can be used", faults or ["no image is labeled"])
    return annotations, data


def _described(source: Path, annotations: Annotations, data: Data) -> Data:
    """The configuration with the classes, label sets and keypoints of the dataset."""
    sets = {name: LabelSet(classes=tuple(names)) for name, names in annotations.label_sets.items()}
    if sets:
        return data.model_copy(update={"label_sets": sets, "classes": class_names(sets)})
    found = [one.label for image in annotations.images for one in image.instances]
    ordered = [name for name in annotations.declared_classes or _of_yolo(source, annotations.format) if name]
    classes = tuple(dict.fromkeys([*ordered, *sorted(set(found))])) or data.classes
    keypoints: Keypoints = data.keypoints if data.keypoints.names else annotations.keypoints
    return data.model_copy(update={"classes": classes, "keypoints": keypoints})


def _of_yolo(source: Path, name: str) -> Sequence[str]:
    """The classes of a YOLO dataset in the order of their numbers; empty for other formats."""
    if name == "yolo" and (yolo := find_yolo(source)) is not None:
        return [yolo.names[number] for number in sorted(yolo.names)]
    return []
