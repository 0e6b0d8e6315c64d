"""Converts an image and its outlines to the network's input; inference uses only the resizing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from sightline.config.augmentation import Augmentation
from sightline.data.formats.coco import RunLengthEncoding, Segmentation
from sightline.data.rasterizer import encode_mask, rasterize

PADDING_COLOUR = (124, 116, 104)
"""Mean color of ImageNet, RGB: zero after normalization, like the padding of a batch."""


@dataclass(frozen=True, slots=True)
class Placement:
    """The position of an image on a canvas: ``x' = scale_x * x + offset_x``, and the same for y.

    Attributes:
        scale_x: Negative if the image is mirrored.
        scale_y: Positive.
        offset_x: Canvas pixels.
        offset_y: Canvas pixels.
        width: Width of the canvas, pixels.
        height: Height of the canvas, pixels.
    """

    scale_x: float
    scale_y: float
    offset_x: float
    offset_y: float
    width: int
    height: int

    def boxes(self, boxes_xyxy: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Boxes float32 [N, 4] in canvas coordinates, clipped to the canvas."""
        x = boxes_xyxy[:, 0::2] * np.float32(self.scale_x) + np.float32(self.offset_x)
        y = boxes_xyxy[:, 1::2] * np.float32(self.scale_y) + np.float32(self.offset_y)
        x, y = np.clip(np.sort(x, axis=1), 0, self.width), np.clip(np.sort(y, axis=1), 0, self.height)
        return np.stack((x[:, 0], y[:, 0], x[:, 1], y[:, 1]), axis=1)

    def segmentation(self, segmentation: Segmentation) -> Segmentation:
        """An outline in canvas coordinates: polygons stay floats, a run-length encoding is resampled (nearest)."""
        if isinstance(segmentation, dict):
            return self._resample(segmentation)
        placed = []
        for polygon in segmentation:
            points = np.asarray(polygon, dtype=np.float64).reshape(-1, 2)
            points = points * (self.scale_x, self.scale_y) + (self.offset_x, self.offset_y)
            placed.append(points.ravel().tolist())
        return placed

    def _resample(self, encoding: RunLengthEncoding) -> RunLengthEncoding:
        height, width = encoding["size"]
        mask = Image.fromarray(rasterize(encoding, height, width))
        across, down = (1 / self.scale_x, 0.0, -self.offset_x / self.scale_x), (0.0, 1 / self.scale_y)
        inverse = (*across, *down, -self.offset_y / self.scale_y)
        placed = mask.transform((self.width, self.height), Image.Transform.AFFINE, inverse, Image.Resampling.NEAREST)
        return encode_mask(np.asarray(placed))


def fitted_size(width: int, height: int, image_size: int) -> tuple[int, int]:
    """Width and height of an image of this size after :func:`fit_image`, pixels."""
    scale = image_size / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def fit_image(image: Image.Image, image_size: int) -> tuple[Image.Image, Placement]:
    """Resize an image so that its longer side has ``image_size`` pixels: the preprocessing of training and inference.

    Args:
        image: RGB, any size.
        image_size: Pixels.

    Returns:
        The resized image, and its placement: without offset, and with slightly different scales because both sides are
        rounded to whole pixels.
    """
    width, height = fitted_size(*image.size, image_size)
    placement = Placement(width / image.width, height / image.height, 0.0, 0.0, width, height)
    if (width, height) == image.size:
        return image, placement
    return image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0), placement


def augment(image: Image.Image, augmentation: Augmentation, rng: np.random.Generator) -> tuple[Image.Image, Placement]:
    """Augment a resized image: brightness and contrast, zoom out, horizontal flip.

    Args:
        image: RGB.
        augmentation: Strengths of the random changes.
        rng: The only source of randomness.

    Returns:
        An image of the same size, and the placement of the original in it.
    """
    brightness = 1 + augmentation.brightness * rng.uniform(-1, 1)
    contrast = 1 + augmentation.contrast * rng.uniform(-1, 1)
    shrink = 1 - augmentation.scale * rng.uniform(0, 1)
    across, down = rng.uniform(0, 1, size=2)
    flip = rng.uniform(0, 1) < augmentation.flip
    image = _recolour(image, brightness, contrast)
    width, height = image.size
    inner = max(1, round(width * shrink)), max(1, round(height * shrink))
    left, top = round(across * (width - inner[0])), round(down * (height - inner[1]))
    if inner != (width, height):
        canvas = Image.new("RGB", (width, height), PADDING_COLOUR)
        canvas.paste(image.resize(inner, Image.Resampling.BILINEAR), (left, top))
        image = canvas
    scale_x, scale_y = inner[0] / width, inner[1] / height
    if flip:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return image, Placement(-scale_x, scale_y, width - left, top, width, height)
    return image, Placement(scale_x, scale_y, left, top, width, height)


def _recolour(image: Image.Image, brightness: float, contrast: float) -> Image.Image:
    grey = float(np.asarray(image.convert("L").reduce(4)).mean()) * brightness
    table = (np.arange(256) * brightness - grey) * contrast + grey
    return image.point(np.clip(np.rint(table), 0, 255).astype(int).tolist() * 3)
