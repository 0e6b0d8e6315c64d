"""Annotations in labelme's format."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sightline.demo.canvas import Points

_VERSION = "5.5.0"


@dataclass(frozen=True, slots=True)
class LabelmeShape:
    """One shape of an annotation.

    Attributes:
        label: Class name, or name of a keypoint.
        points: (N, 2) pixels; (1, 2) for a point.
        kind: What the points mean.
        group_id: Number of the object that the shape belongs to; None if it is an object of its own.
        occluded: Whether something hides the point.
    """

    label: str
    points: Points
    kind: Literal["polygon", "point"] = "polygon"
    group_id: int | None = None
    occluded: bool = False


def labelme_json(image_path: str, size: tuple[int, int], shapes: Sequence[LabelmeShape]) -> bytes:
    """The annotation file of one image.

    Args:
        image_path: Path of the image, relative to the annotation file.
        size: Width and height in pixels.
        shapes: Shapes in pixels; coordinates are rounded to a hundredth.
    """
    document: dict[str, object] = {
        "version": _VERSION,
        "flags": {},
        "shapes": [
            {
                "label": shape.label,
                "points": np.round(shape.points, 2).tolist(),
                # labelme merges shapes with the same label and group_id into one instance; equal characters must not.
                "group_id": shape.group_id,
                "description": "",
                "shape_type": shape.kind,
                "flags": {"occluded": True} if shape.occluded else {},
                "mask": None,
            }
            for shape in shapes
        ],
        "imagePath": image_path,
        "imageData": None,
        "imageHeight": size[1],
        "imageWidth": size[0],
    }
    return (json.dumps(document, indent=2) + "\n").encode()
