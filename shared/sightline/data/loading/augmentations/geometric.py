"""Changes that move the image and everything in it; the pixels are resampled once, after all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from sightline.config.augmentation import (
    Crop,
    Flip,
    LargeScaleJitter,
    Perspective,
    RandomResizedCrop,
    Rotate,
    ScaleJitter,
)
from sightline.data.loading.augmentations.context import Context
from sightline.data.loading.geometry import homography, move_boxes, rotation, scaling, shift
from sightline.data.loading.scene import Objects, Scene

_TRIES = 10
"""Tries to find a part of an image, as in torchvision."""


def flip(scene: Scene, context: Context, settings: Flip) -> Scene:
    """Mirror the image; mirrored classes and keypoints change places."""
    table = np.arange(max(context.labels.values()) + 1)
    for one, other in ((context.labels[one], context.labels[other]) for one, other in settings.swap.items()):
        table[[one, other]] = other, one
    image_labels = None if scene.image_labels is None else scene.image_labels[table[1:] - 1]
    swapped = replace(scene, objects=_swapped(scene.objects, table, context, settings), image_labels=image_labels)
    return swapped.moved(shift(scene.width, 0) @ scaling(-1, 1))


def _swapped(objects: Objects, table: npt.NDArray[np.int64], context: Context, settings: Flip) -> Objects:
    keypoints, pairs = objects.keypoints, settings.keypoint_pairs or context.keypoint_pairs
    if pairs and keypoints is not None:
        keypoints = keypoints[:, _mirrored_order(keypoints.shape[1], pairs)]
    return replace(objects, labels=table[objects.labels], keypoints=keypoints)


def _mirrored_order(count: int, pairs: Sequence[tuple[int, int]]) -> list[int]:
    order = list(range(count))
    for one, other in pairs:
        order[one], order[other] = other, one
    return order


def scale(scene: Scene, context: Context, settings: ScaleJitter | LargeScaleJitter) -> Scene:
    """Resize the content by a random factor, and place it at random."""
    factor = context.random.uniform(settings.low, settings.high)
    x, y = context.random.uniform(0, 1, size=2) * (1 - factor) * (scene.width, scene.height)
    return scene.moved(shift(x, y) @ scaling(factor, factor))


def crop(scene: Scene, context: Context, settings: Crop) -> Scene:
    """Enlarge a random part that has the shape of the image and contains all objects."""
    size = np.array([scene.width, scene.height], dtype=np.float64)
    low, high = size, np.zeros(2)  # without objects, any part will do
    if len(scene.objects):
        boxes = np.clip(move_boxes(scene.matrix, scene.objects.boxes_xyxy), 0, np.tile(size, 2))
        low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    share = context.random.uniform(max(settings.smallest, *((high - low) / size)), 1)
    first, last = np.maximum(0, high - share * size), np.minimum(low, (1 - share) * size)
    x, y = first + context.random.uniform(0, 1, size=2) * (last - first)
    return scene.moved(scaling(1 / share, 1 / share) @ shift(-x, -y))


def random_resized_crop(scene: Scene, context: Context, settings: RandomResizedCrop) -> Scene:
    """Enlarge a part of a random area and aspect ratio; the whole image if no such part is found in ten tries."""
    for _ in range(_TRIES):
        area = context.random.uniform(settings.low, settings.high)
        ratio = np.exp(context.random.uniform(-1, 1) * np.log(settings.ratio))
        across, down = np.sqrt(area * ratio), np.sqrt(area / ratio)
        x, y = context.random.uniform(0, 1, size=2) * (1 - across, 1 - down) * (scene.width, scene.height)
        if max(across, down) <= 1:
            return scene.moved(scaling(1 / across, 1 / down) @ shift(-x, -y))
    return scene


def rotate(scene: Scene, context: Context, settings: Rotate) -> Scene:
    """Rotate around the center."""
    x, y = scene.width / 2, scene.height / 2
    angle = context.random.uniform(-settings.degrees, settings.degrees)
    return scene.moved(shift(x, y) @ rotation(angle) @ shift(-x, -y))


def perspective(scene: Scene, context: Context, settings: Perspective) -> Scene:
    """Move each corner inward by random parts of the sides."""
    size = np.array([scene.width, scene.height], dtype=np.float64)
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], dtype=np.float64)
    inward = context.random.uniform(0, settings.strength, size=(4, 2)) * (1 - 2 * corners)
    return scene.moved(homography(corners * size, (corners + inward) * size))
