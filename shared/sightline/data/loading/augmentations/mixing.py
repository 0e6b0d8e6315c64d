"""Changes that use other images of the training set."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from PIL import Image

from sightline.config.augmentation import CopyPaste, CutMix, MixUp, Mosaic
from sightline.data.loading.augmentations.context import Context
from sightline.data.loading.geometry import scaling, shift, warp_image
from sightline.data.loading.scene import VISIBLE_SHARE, Objects, Scene
from sightline.data.rasterizer import covered_box, encode_mask, rasterize

_FIRST_CENTER, _LAST_CENTER = 0.25, 0.75
"""Range of the point where the four images of a mosaic meet, relative to the canvas."""


def mosaic(scene: Scene, context: Context, settings: Mosaic) -> Scene:  # noqa: ARG001  (it has no setting of its own)
    """Fill the four parts around a random point with this image and three others.

    Each image is reduced until it just fills its part; what is beyond the part is cut off at a random place.
    """
    scene = scene.settled()
    width, height = scene.width, scene.height
    share = context.random.uniform(_FIRST_CENTER, _LAST_CENTER, size=2)
    x, y = (max(1, min(side - 1, round(part * side))) for part, side in zip(share, (width, height), strict=True))
    parts = ((0, 0, x, y), (x, 0, width, y), (0, y, x, height), (x, y, width, height))
    place = int(context.random.integers(4))
    canvas = Image.new("RGB", (width, height))
    objects, labels = scene.objects.chosen([]), None if scene.image_labels is None else 0 * scene.image_labels
    for number, (left, top, right, bottom) in enumerate(parts):
        source = scene if number == place else context.another()
        filled = _filled(source, right - left, bottom - top, context.random)
        canvas.paste(filled.image, (left, top))
        objects = objects.joined(filled.objects.moved(shift(left, top), width, height))
        if labels is not None and filled.image_labels is not None:
            labels = labels + np.float32((right - left) * (bottom - top) / (width * height)) * filled.image_labels
    return Scene.of(canvas, objects, labels)


def _filled(scene: Scene, width: int, height: int, random: np.random.Generator) -> Scene:
    """A scene reduced to a canvas that it just fills."""
    factor = max(width / scene.width, height / scene.height)
    beyond = np.array([width - factor * scene.width, height - factor * scene.height])
    x, y = random.uniform(0, 1, size=2) * beyond
    whole = scene.settled()
    return replace(whole, matrix=shift(x, y) @ scaling(factor, factor), width=width, height=height).settled()


def copy_paste(scene: Scene, context: Context, settings: CopyPaste) -> Scene:
    """Paste random objects of another image, with their background cut away, at a common random shift."""
    scene = scene.settled()
    other = context.another().settled()
    count = min(len(other.objects), int(context.random.integers(1, settings.objects, endpoint=True)))
    chosen = context.random.permutation(len(other.objects))[:count]
    x, y = np.rint(context.random.uniform(-0.5, 0.5, size=2) * (scene.width, scene.height))
    pasted = other.objects.chosen(chosen).moved(shift(x, y), scene.width, scene.height)
    if not len(pasted):
        return scene
    cover = np.zeros((scene.height, scene.width), dtype=np.uint8)
    for outline in pasted.outlines:
        cover |= rasterize(outline, scene.height, scene.width)
    image = scene.image.copy()
    source = warp_image(other.image, shift(x, y), scene.width, scene.height)
    image.paste(source, mask=Image.fromarray(255 * cover))
    return replace(scene, image=image, objects=_uncovered(scene.objects, cover).joined(pasted))


def _uncovered(objects: Objects, cover: npt.NDArray[np.uint8]) -> Objects:
    """The visible parts of objects below pasted ones; objects with too small a part are left out."""
    boxes, outlines, kept = objects.boxes_xyxy.copy(), list(objects.outlines), []
    for index, outline in enumerate(objects.outlines):
        left, top = np.floor(boxes[index, :2]).astype(int)
        right, bottom = np.ceil(boxes[index, 2:]).astype(int)
        if cover[top:bottom, left:right].any():
            mask = rasterize(outline, *cover.shape)
            visible = mask & ~cover
            if visible.sum() < max(1, VISIBLE_SHARE * mask.sum()):
                continue
            if visible.sum() < mask.sum():
                outlines[index] = encoding = encode_mask(visible)
                x, y, across, down = covered_box(encoding)
                boxes[index] = x, y, x + across, y + down
        kept.append(index)
    return replace(objects, boxes_xyxy=boxes, outlines=outlines).chosen(kept)


def mixup(scene: Scene, context: Context, settings: MixUp) -> Scene:
    """Blend the image with another one that is resized to fill the canvas; objects of both are kept."""
    scene = scene.settled()
    other = _filled(context.another(), scene.width, scene.height, context.random)
    share = context.random.beta(settings.alpha, settings.alpha)
    image = Image.blend(other.image, scene.image, share)
    return Scene.of(image, scene.objects.joined(other.objects), _mixed(scene, other, share))


def cutmix(scene: Scene, context: Context, settings: CutMix) -> Scene:
    """Replace a rectangle, in the shape of the image, by the same part of another one that fills the canvas.

    The center is anywhere in the image; what is beyond the border counts neither for the pixels nor for the labels.
    """
    scene = scene.settled()
    other = _filled(context.another(), scene.width, scene.height, context.random)
    size = np.array([scene.width, scene.height], dtype=np.float64)
    sides = np.sqrt(1 - context.random.beta(settings.alpha, settings.alpha)) * size
    center = context.random.uniform(0, 1, size=2) * size
    corners = np.concatenate([center - sides / 2, center + sides / 2])
    left, top, right, bottom = np.rint(np.clip(corners, 0, np.tile(size, 2))).astype(int).tolist()
    if right == left or bottom == top:
        return scene
    image = scene.image.copy()
    image.paste(other.image.crop((left, top, right, bottom)), (left, top))
    cover = np.zeros((scene.height, scene.width), dtype=np.uint8)
    cover[top:bottom, left:right] = 1
    inside = other.objects.moved(shift(-left, -top), right - left, bottom - top)
    objects = _uncovered(scene.objects, cover).joined(inside.moved(shift(left, top), scene.width, scene.height))
    return Scene.of(image, objects, _mixed(scene, other, 1 - float(cover.mean())))


def _mixed(scene: Scene, other: Scene, share: float) -> npt.NDArray[np.float32] | None:
    """The labels of two images, of which the first has this share; None if one has none."""
    if scene.image_labels is None or other.image_labels is None:
        return None
    return np.float32(share) * scene.image_labels + np.float32(1 - share) * other.image_labels
