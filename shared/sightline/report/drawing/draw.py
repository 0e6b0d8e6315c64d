"""Draws detections and ground truth on their image, so that a person can check them character by character."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from sightline.data.detections import Detections
from sightline.data.formats.coco import CocoAnnotation, RunLengthEncoding, Segmentation
from sightline.data.rasterizer import covered_box, encode_outline, rasterize
from sightline.errors import DataError
from sightline.report.drawing.label_placement import Rectangle, place_labels
from sightline.report.drawing.lettering import Lettering, printable

Colour = tuple[int, int, int]

_SMALL_SIDE = 640
"""Images with a longer side below this many pixels are drawn at twice their size, so that labels stay readable."""
_FILL_ALPHA = 60
_OUTLINE_ALPHA = 210


@dataclass(frozen=True, slots=True)
class _Mark:
    box_xyxy: tuple[float, float, float, float]
    category_id: int
    name: str
    score: str
    segmentation: Segmentation | None


def class_colour(category_id: int) -> Colour:
    """The RGB color (0 to 255) of a class, the same in every image and every run.

    Consecutive ids are a golden angle apart on the color wheel and alternate in lightness, so that twenty classes can
    be told apart.
    """
    hue = (0.58 + category_id * 0.6180339887498949) % 1.0
    lightness = (0.52, 0.66, 0.42)[category_id % 3]
    red, green, blue = colorsys.hls_to_rgb(hue, lightness, 0.85)
    return round(red * 255), round(green * 255), round(blue * 255)


def draw_detections(image: Image.Image, detections: Detections, class_names: Mapping[int, str]) -> Image.Image:
    """Draw boxes, translucent masks if any, and "name NN %" for every detection.

    Args:
        image: The image as it is on disk, EXIF orientation applied; it is not changed.
        detections: In pixels of the image, already filtered by score (:meth:`Detections.above`).
        class_names: COCO category id -> name, for every id that occurs; the id is drawn if no font has the name's
            letters.

    Returns:
        RGB; twice the size of ``image`` if its longer side is below 640 pixels, else the same size.

    Raises:
        DataError: A category id has no name, or a mask has another size than the image.
    """
    masks = [None] * len(detections) if detections.masks is None else detections.masks
    marks = [
        _Mark(
            (float(box[0]), float(box[1]), float(box[2]), float(box[3])),
            int(category_id),
            _name(class_names, int(category_id)),
            f"{round(float(score) * 100)} %",
            mask,
        )
        for box, category_id, score, mask in zip(
            detections.boxes_xyxy, detections.category_ids, detections.scores, masks, strict=True
        )
    ]
    return _draw(image, marks)


def draw_truth(
    image: Image.Image, annotations: Sequence[CocoAnnotation], class_names: Mapping[int, str], *, masks: bool = True
) -> Image.Image:
    """Draw boxes, translucent masks and class names of the ground truth; arguments as for :func:`draw_detections`.

    Without ``masks`` only boxes are drawn, as for a task without masks.
    """
    marks = []
    for annotation in annotations:
        x, y, width, height = annotation["bbox"]
        name = _name(class_names, annotation["category_id"])
        marks.append(
            _Mark(
                (x, y, x + width, y + height),
                annotation["category_id"],
                name,
                "",
                annotation["segmentation"] if masks else None,
            )
        )
    return _draw(image, marks)


def _name(class_names: Mapping[int, str], category_id: int) -> str:
    if category_id not in class_names:
        known = ", ".join(str(known_id) for known_id in sorted(class_names))
        raise DataError(
            f"cannot draw category id {category_id}: no class has this id (known ids: {known}); "
            "use the classes of the model and the dataset"
        )
    return printable(class_names[category_id], str(category_id))


def _draw(image: Image.Image, marks: list[_Mark]) -> Image.Image:
    """Masks first, the largest at the bottom, then boxes, then labels, so that objects do not hide smaller ones."""
    scale = 2 if max(image.size) < _SMALL_SIDE else 1
    size = (image.width * scale, image.height * scale)
    canvas = image.convert("RGB")
    canvas = canvas.resize(size, Image.Resampling.BICUBIC) if scale > 1 else canvas.copy()
    marks = sorted(marks, key=lambda mark: -_area(mark.box_xyxy))
    for mark in marks:
        _paint_mask(canvas, mark, scale, (image.height, image.width))
    pen = ImageDraw.Draw(canvas)
    line = max(1, round(max(size) / 600))
    boxes: list[Rectangle] = []
    for mark in marks:
        left, top, right, bottom = (value * scale for value in mark.box_xyxy)
        pen.rectangle(
            (left, top, max(left, right - 1), max(top, bottom - 1)), None, class_colour(mark.category_id), line
        )
        boxes.append((left, top, right, bottom))
    _write_labels(pen, size, marks, boxes)
    return canvas


def _area(box_xyxy: tuple[float, float, float, float]) -> float:
    return (box_xyxy[2] - box_xyxy[0]) * (box_xyxy[3] - box_xyxy[1])


def _paint_mask(canvas: Image.Image, mark: _Mark, scale: int, image_size: tuple[int, int]) -> None:
    """Tint the pixels of the mask and draw its outline; only the mask's bounding box is processed."""
    found = None if mark.segmentation is None else _cropped_mask(mark.segmentation, image_size)
    if found is None:
        return
    bitmap, left, top = found
    mask = Image.fromarray(bitmap * np.uint8(255))
    mask = mask.resize((mask.width * scale, mask.height * scale), Image.Resampling.NEAREST)
    framed = Image.new("L", (mask.width + 2, mask.height + 2))
    framed.paste(mask, (1, 1))
    inside = framed.filter(ImageFilter.MinFilter(3)).crop((1, 1, mask.width + 1, mask.height + 1))
    alpha = mask.point([0] * 255 + [_OUTLINE_ALPHA])
    alpha.paste(_FILL_ALPHA, (0, 0), inside)
    canvas.paste(class_colour(mark.category_id), (left * scale, top * scale), alpha)


def _cropped_mask(
    segmentation: Segmentation, image_size: tuple[int, int]
) -> tuple[npt.NDArray[np.uint8], int, int] | None:
    """The mask as uint8 [h, w] of 0 and 1, cropped to its bounding box, with left and top; None if it is empty."""
    height, width = image_size
    if isinstance(segmentation, list):
        polygons = [polygon for polygon in segmentation if len(polygon) >= 6]
        if not polygons:
            return None
        encoding: RunLengthEncoding = encode_outline(polygons, height, width)
    else:
        encoding = segmentation
    if list(encoding["size"]) != [height, width]:
        raise DataError(
            f"cannot draw a mask of {encoding['size'][0]} x {encoding['size'][1]} (height x width) on an image of "
            f"{height} x {width}; use the image that the model was run on, with EXIF orientation applied"
        )
    left, top, mask_width, mask_height = covered_box(encoding)
    if mask_width == 0 or mask_height == 0:
        return None
    bitmap = rasterize(encoding, height, width)
    return np.ascontiguousarray(bitmap[top : top + mask_height, left : left + mask_width]), left, top


def _write_labels(pen: ImageDraw.ImageDraw, size: tuple[int, int], marks: list[_Mark], boxes: list[Rectangle]) -> None:
    font_size = max(10, round(max(size) / 64))
    lettering = Lettering(font_size)
    pad = max(2, font_size // 5)
    gap = font_size / 2  # the space of the font is so narrow that "1 95 %" would look like 195 %
    names, extents = [], []
    for mark in marks:
        rest = (gap + lettering.width(mark.score) if mark.score else 0) + 2 * pad
        names.append(lettering.fitted(mark.name, size[0] - rest))
        extents.append((lettering.width(names[-1]) + rest, 1.25 * font_size))
    places = place_labels(boxes, extents, size)
    for mark, box, place in zip(marks, boxes, places, strict=True):
        _lead(pen, place, box, class_colour(mark.category_id))
    for mark, name, place in zip(marks, names, places, strict=True):
        colour = class_colour(mark.category_id)
        pen.rectangle(place, colour)
        middle = (place[1] + place[3]) / 2
        lettering.write(pen, place[0] + pad, middle, name, _ink(colour))
        lettering.write(pen, place[2] - pad - lettering.width(mark.score), middle, mark.score, _ink(colour))


def _lead(pen: ImageDraw.ImageDraw, label: Rectangle, box: Rectangle, colour: Colour) -> None:
    """A thin line from a label that had to move away to the nearest point of its box."""
    middle = ((label[0] + label[2]) / 2, (label[1] + label[3]) / 2)
    nearest = (min(max(middle[0], box[0]), box[2]), min(max(middle[1], box[1]), box[3]))
    height = label[3] - label[1]
    if abs(middle[1] - nearest[1]) > height or abs(middle[0] - nearest[0]) > (label[2] - label[0]) / 2 + 2:
        pen.line((middle, nearest), colour, 1)


def _ink(colour: Colour) -> Colour:
    """Black or white, whichever stands out more (relative luminance, WCAG 2)."""
    linear = [(value / 255 / 12.92 if value <= 10 else ((value / 255 + 0.055) / 1.055) ** 2.4) for value in colour]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return (0, 0, 0) if luminance > 0.179 else (255, 255, 255)
