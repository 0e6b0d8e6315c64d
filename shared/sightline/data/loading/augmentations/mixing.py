"""Changes that use other images of the training set."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from PIL import Image

from sightline.config.augmentation import CopyPaste, Mosaic
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
    objects = scene.objects.chosen([])
    for number, (left, top, right, bottom) in enumerate(parts):
        source = scene if number == place else context.another()
        filled = _filled(source, right - left, bottom - top, context.random)
        canvas.paste(filled.image, (left, top))
        objects = objects.joined(filled.objects.moved(shift(left, top), width, height))
    return Scene.of(canvas, objects)


def _filled(scene: Scene, width: int, height: int, random: np.random.Generator) -> Scene:
    """A scene reduced to a canvas that it just fills."""
    factor = max(width / scene.width, height / scene.height)
    beyond = np.array([width - factor * scene.width, height - factor * scene.height])
    x, y = random.uniform(0, 1, size=2) * beyond
    whole = scene.settled()
    return Scene(whole.image, whole.objects, shift(x, y) @ scaling(factor, factor), width, height).settled()


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
