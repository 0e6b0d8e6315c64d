"""Writes labelme: a JSON file for each image, with polygons, rectangles, masks and points."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from sightline.config.data import Data
from sightline.data.annotations import Instance, LabelledImage
from sightline.data.formats.coco import RunLengthEncoding
from sightline.data.rasterizer import covered_box, rasterize
from sightline.data.tools.writers.files import WrittenDataset, box_polygon, names_of, own_group

VERSION = "5.5.0"


def write_labelme(images: Sequence[LabelledImage], data: Data) -> WrittenDataset:
    """Write a JSON file next to each image.

    Parts of one object, and an object and its keypoints, share a ``group_id``; labels of the whole image are flags; a
    mask stays a mask.  Splits are the only thing that is lost.

    Args:
        images: The images.
        data: Names of the keypoints.
    """
    written = WrittenDataset()
    for image, name in zip(images, names_of(images, distinct_stems=True), strict=True):
        written.images[name] = image
        written.texts[str(PurePosixPath(name).with_suffix(".json"))] = json.dumps(
            _document(image, PurePosixPath(name).name, data), ensure_ascii=False, indent=2, allow_nan=False
        )
        if image.split is not None:
            written.losses["splits of images"] += 1
    return written


def _document(image: LabelledImage, file_name: str, data: Data) -> dict[str, Any]:
    shapes = []
    for number, instance in enumerate(image.instances, start=1):
        shapes += list(_shapes(instance, number, data.keypoints.names))
    document: dict[str, Any] = {
        "version": VERSION,
        "flags": dict.fromkeys((*image.labels, *image.flags), True),
        "shapes": shapes,
        "imagePath": file_name,
        "imageData": None,
        "imageHeight": image.height,
        "imageWidth": image.width,
    }
    return {**document, "group": image.group} if own_group(image) else document


def _shapes(instance: Instance, number: int, keypoint_names: Sequence[str]) -> Iterator[dict[str, Any]]:
    parts = instance.segmentation if isinstance(instance.segmentation, list) else [instance.segmentation]
    group = number if len(parts) > 1 or instance.keypoints else None
    for part in parts:
        if isinstance(part, dict):
            yield _shape(instance.label, "mask", *_mask(part), group)
        elif box_polygon(instance):
            yield _shape(instance.label, "rectangle", [part[0:2], part[4:6]], None, group)
        else:
            yield _shape(instance.label, "polygon", np.reshape(part, (-1, 2)).tolist(), None, group)
    for name, (x, y, visibility) in zip(keypoint_names, instance.keypoints or (), strict=bool(instance.keypoints)):
        if visibility:
            point = _shape(name, "point", [[x, y]], None, group)
            yield {**point, "flags": {"occluded": True} if visibility == 1 else {}}


def _shape(label: str, kind: str, points: Any, mask: str | None, group: int | None) -> dict[str, Any]:  # noqa: ANN401
    shape: dict[str, Any] = {
        "label": label,
        "points": points,
        "group_id": group,
        "description": "",
        "shape_type": kind,
        "flags": {},
    }
    return {**shape, "mask": mask} if mask else shape


def _mask(encoding: RunLengthEncoding) -> tuple[list[list[float]], str]:
    """The points and the PNG of a shape of kind ``mask``; the second point is its last pixel."""
    left, top, width, height = covered_box(encoding)
    rows, columns = encoding["size"]
    pixels = rasterize(encoding, rows, columns)[top : top + height, left : left + width].astype(bool)
    png = io.BytesIO()
    Image.fromarray(pixels).save(png, "PNG")
    points = [[float(left), float(top)], [float(left + width - 1), float(top + height - 1)]]
    return points, base64.b64encode(png.getvalue()).decode()
