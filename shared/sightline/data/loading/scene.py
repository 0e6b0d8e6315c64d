"""An image and its objects on their way from the training set to the network."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from PIL import Image

from sightline.data.formats.coco import RunLengthEncoding, Segmentation
from sightline.data.loading.geometry import (
    Matrix,
    clip_polygon,
    is_upright,
    magnification,
    move_boxes,
    move_outline,
    move_points,
    warp_image,
)
from sightline.data.rasterizer import covered_area, covered_box

Box = npt.NDArray[np.float64]
"""[4]: left, top, right, bottom, in pixels."""

SMALLEST_SIDE = 0.01
"""Pixels; a thinner box has zero width in float32 and would stop the training."""

VISIBLE_SHARE = 0.1
"""An object is left out if less than this share of its extent, or of its mask's pixels, is left on the canvas."""

_ROUNDING = 1e-6
"""Pixels by which a box may exceed the canvas without being cut."""


@dataclass(frozen=True, slots=True)
class Objects:
    """The objects of an image.

    Attributes:
        labels: int64 [N], from 1 in the order of the categories.
        boxes_xyxy: float64 [N, 4], pixels.
        outlines: N outlines, polygons or run-length encodings, in pixels.
        keypoints: float64 [N, K, 3]: x, y in pixels, and visibility (0: not labeled); None if the task has none.
    """

    labels: npt.NDArray[np.int64]
    boxes_xyxy: npt.NDArray[np.float64]
    outlines: list[Segmentation]
    keypoints: npt.NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def chosen(self, indices: Iterable[int]) -> Objects:
        """Some of the objects, in this order."""
        kept = np.asarray(list(indices), dtype=np.intp)
        keypoints = None if self.keypoints is None else self.keypoints[kept]
        return Objects(self.labels[kept], self.boxes_xyxy[kept], [self.outlines[one] for one in kept], keypoints)

    def joined(self, other: Objects) -> Objects:
        """These objects and others of the same canvas."""
        both = None if self.keypoints is None or other.keypoints is None else (self.keypoints, other.keypoints)
        return Objects(
            np.concatenate([self.labels, other.labels]),
            np.concatenate([self.boxes_xyxy, other.boxes_xyxy]),
            [*self.outlines, *other.outlines],
            None if both is None else np.concatenate(both),
        )

    def moved(self, matrix: Matrix, width: int, height: int) -> Objects:
        """The objects on another canvas; what is not visible there is left out.

        A box stays the extent of the outline within the canvas.

        Args:
            matrix: From these coordinates to those of the canvas.
            width: Width of the canvas, pixels.
            height: Height of the canvas, pixels.
        """
        if not len(self):
            return self
        whole = move_boxes(matrix, self.boxes_xyxy)
        boxes = np.clip(whole, 0.0, (width, height, width, height))
        outlines = [move_outline(matrix, outline, width, height) for outline in self.outlines]
        changed = (np.abs(boxes - whole) > _ROUNDING).any(axis=1) | (not is_upright(matrix))
        shares = np.ones(len(self))
        for index in np.flatnonzero(changed):
            outline = outlines[index]
            if isinstance(outline, dict):
                boxes[index] = _extent_of_pixels(outline)
                shares[index] = _share(
                    self.outlines[index], outline, magnification(matrix, *_center(self.boxes_xyxy[index]))
                )
            else:
                outlines[index], boxes[index], shares[index] = _visible(outline, width, height)
        keypoints = None if self.keypoints is None else _moved_keypoints(matrix, self.keypoints, width, height)
        large = (boxes[:, 2:] - boxes[:, :2]).min(axis=1) > SMALLEST_SIDE
        kept = np.flatnonzero(large & (shares >= VISIBLE_SHARE))
        return Objects(self.labels, boxes, outlines, keypoints).chosen(kept)


def _visible(outline: list[list[float]], width: int, height: int) -> tuple[list[list[float]], Box, float]:
    """The part of polygons on the canvas, its extent (zero if there is none), and its share of the extent's area."""
    polygons = [np.asarray(polygon).reshape(-1, 2) for polygon in outline]
    clipped = [clip_polygon(polygon, width, height) for polygon in polygons]
    kept = [polygon for polygon in clipped if len(polygon) >= 3]
    if not kept:
        return outline, np.zeros(4), 0.0
    visible, whole = _extent_of_points(np.concatenate(kept)), _extent_of_points(np.concatenate(polygons))
    areas = [float(np.prod(box[2:] - box[:2])) for box in (visible, whole)]
    return [polygon.ravel().tolist() for polygon in kept], visible, areas[0] / areas[1] if areas[1] else 0.0


def _extent_of_points(points: npt.NDArray[np.float64]) -> Box:
    return np.concatenate([points.min(axis=0), points.max(axis=0)])


def _extent_of_pixels(encoding: RunLengthEncoding) -> Box:
    x, y, across, down = covered_box(encoding)
    return np.array([x, y, x + across, y + down], dtype=np.float64)


def _share(before: Segmentation, now: RunLengthEncoding, enlarged: float) -> float:
    """The share of a mask's pixels that are left after it was moved and enlarged by a factor."""
    assert isinstance(before, dict)  # noqa: S101
    return covered_area(now) / max(covered_area(before) * enlarged**2, 1e-9)


def _center(box_xyxy: Box) -> tuple[float, float]:
    return float(box_xyxy[[0, 2]].mean()), float(box_xyxy[[1, 3]].mean())


def _moved_keypoints(
    matrix: Matrix, keypoints: npt.NDArray[np.float64], width: int, height: int
) -> npt.NDArray[np.float64]:
    """Keypoints on another canvas; those beyond it count as not labeled."""
    places = move_points(matrix, keypoints[..., :2])
    inside = ((places >= 0) & (places <= (width, height))).all(axis=-1) & (keypoints[..., 2] > 0)
    return np.where(inside[..., None], np.concatenate([places, keypoints[..., 2:]], axis=-1), 0.0)


@dataclass(frozen=True, slots=True)
class Scene:
    """An image with its objects, and a movement that has not been applied yet.

    Attributes:
        image: RGB.
        objects: In pixels of the image.
        matrix: From the image to the canvas, see :mod:`sightline.data.loading.geometry`.
        width: Width of the canvas, which never changes: that of the fitted image, in pixels.
        height: Height of the canvas, pixels.
        image_labels: float32 [C]: the share of each category that applies to the whole image, 0 to 1; None if the
            training set has no label sets.
    """

    image: Image.Image
    objects: Objects
    matrix: Matrix
    width: int
    height: int
    image_labels: npt.NDArray[np.float32] | None = None

    @classmethod
    def of(cls, image: Image.Image, objects: Objects, image_labels: npt.NDArray[np.float32] | None = None) -> Scene:
        """An image on a canvas of its own size."""
        return cls(image, objects, np.eye(3), *image.size, image_labels)

    def moved(self, matrix: Matrix) -> Scene:
        """The scene after another movement on the canvas; the pixels are not touched yet."""
        return replace(self, matrix=matrix @ self.matrix)

    def settled(self) -> Scene:
        """The scene with all movements applied: image and canvas are the same."""
        if self.image.size == (self.width, self.height) and np.array_equal(self.matrix, np.eye(3)):
            return self
        return Scene.of(
            warp_image(self.image, self.matrix, self.width, self.height),
            self.objects.moved(self.matrix, self.width, self.height),
            self.image_labels,
        )
