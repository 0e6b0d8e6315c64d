"""Writes YOLO in the layout of Ultralytics: boxes, polygons, or boxes with keypoints, as shares of the image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any, Literal

from sightline.config.data import Data
from sightline.data.annotations import Instance, LabelledImage
from sightline.data.recording.filling import SPLITS
from sightline.data.tools.writers.files import WrittenDataset, box_polygon, names_of, own_group
from sightline.data.tools.writers.outlines import joined, polygons_of
from sightline.data.tools.yolo_source import yolo_yaml

Kind = Literal["detection", "segmentation", "pose"]


def write_yolo(images: Sequence[LabelledImage], data: Data) -> WrittenDataset:
    """Write ``images/``, ``labels/`` and ``dataset.yaml``, with a folder for each split if images have splits.

    Objects with keypoints are written as poses, objects with outlines other than their box as polygons, others as
    boxes.  Every image gets a label file; an empty one means that it has no objects.

    Args:
        images: The images.
        data: Classes, whose numbers are 0, 1, ... in their order, and keypoints.
    """
    kind = kind_of(images)
    numbers = {name: number for number, name in enumerate(data.classes)}
    written = WrittenDataset()
    for image, path in zip(images, names_of(images, distinct_stems=True), strict=True):
        written.images[f"images/{path}"] = image
        lines = [_line(instance, numbers[instance.label], image, kind, written.losses) for instance in image.instances]
        label_file = PurePosixPath("labels", path).with_suffix(".txt")
        written.texts[str(label_file)] = "".join(f"{line}\n" for line in lines)
        if image.labels:
            written.losses["labels of images"] += 1
        if own_group(image):
            written.losses["groups of images"] += 1
    splits = [one for one in SPLITS if any(image.split == one for image in images)]
    written.texts["dataset.yaml"] = yolo_yaml(numbers_to_names(data), splits, _settings(data, kind))
    return written


def kind_of(images: Sequence[LabelledImage]) -> Kind:
    """The kind of label files that holds the most of the objects."""
    instances = [instance for image in images for instance in image.instances]
    if any(instance.keypoints is not None for instance in instances):
        return "pose"
    return "detection" if all(map(box_polygon, instances)) else "segmentation"


def numbers_to_names(data: Data) -> dict[int, str]:
    """Class number -> name."""
    return dict(enumerate(data.classes))


def _settings(data: Data, kind: Kind) -> dict[str, Any]:
    if kind != "pose":
        return {}
    names = list(data.keypoints.names)
    partner = {one: other for pair in data.keypoints.flip_pairs for one, other in (pair, pair[::-1])}
    return {
        "kpt_shape": [len(names), 3],
        "flip_idx": [names.index(partner.get(name, name)) for name in names],
        "kpt_names": names,
    }


def _line(instance: Instance, number: int, image: LabelledImage, kind: Kind, losses: Counter[str]) -> str:
    if kind == "segmentation":
        return f"{number} {_polygon(instance, image, losses)}"
    x, y, width, height = instance.bbox
    across, down = image.width, image.height
    box = (
        f"{number} {(x + width / 2) / across:.10f} {(y + height / 2) / down:.10f} "
        f"{width / across:.10f} {height / down:.10f}"
    )
    if kind == "detection":
        return box
    if not box_polygon(instance):
        losses["outlines (only their box is kept)"] += 1
    points = (f" {x / across:.10f} {y / down:.10f} {visibility}" for x, y, visibility in instance.keypoints or ())
    return box + "".join(points)


def _polygon(instance: Instance, image: LabelledImage, losses: Counter[str]) -> str:
    segmentation = instance.segmentation
    if isinstance(segmentation, list) and len(segmentation) == 1:
        values = segmentation[0]
    else:
        found = polygons_of(segmentation)
        if found.holes:
            losses["holes (filled)"] += 1
        if len(found.parts) > 1:
            losses["several parts (joined to one polygon)"] += 1
        values = joined(found.parts).ravel().tolist()
    across, down = image.width, image.height
    return " ".join([f"{value / (down if index % 2 else across):.10f}" for index, value in enumerate(values)])
