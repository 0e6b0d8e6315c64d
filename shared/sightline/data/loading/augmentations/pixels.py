"""Changes of the pixels only, and erasing."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

from sightline.config.augmentation import Blur, Erase, Jpeg, Noise, Photometric
from sightline.data.images import read_image
from sightline.data.loading.augmentations.context import Context
from sightline.data.loading.scene import Scene
from sightline.data.loading.transforms import PADDING_COLOUR

HIDDEN_SHARE = 0.7
"""An object is left out if an erased rectangle covers at least this share of its box."""

_TABLE_SIZE = 17
"""Values of each channel in the table that turns hues; the result is exact to half a gray level on average."""

_NARROWEST = 0.3
"""Smallest ratio of the sides of an erased rectangle."""


def photometric(scene: Scene, context: Context, settings: Photometric) -> Scene:
    """Change brightness, contrast, saturation and hue, in this order; needs no resampled image."""
    brightness, contrast, saturation, hue = context.random.uniform(-1, 1, size=4) * (
        settings.brightness,
        settings.contrast,
        settings.saturation,
        settings.hue,
    )
    image = scene.image
    if brightness or contrast:
        image = _recolored(image, 1 + brightness, 1 + contrast)
    if saturation:
        image = ImageEnhance.Color(image).enhance(1 + saturation)
    if hue:
        image = _turned(image, hue)
    return replace(scene, image=image)


def _recolored(image: Image.Image, brightness: float, contrast: float) -> Image.Image:
    gray = float(np.asarray(image.convert("L").reduce(4)).mean()) * brightness
    table = (np.arange(256) * brightness - gray) * contrast + gray
    return image.point(np.clip(np.rint(table), 0, 255).astype(int).tolist() * 3)


def _turned(image: Image.Image, hue: float) -> Image.Image:
    """The image with all hues shifted by a fraction of the color circle.

    A table of few colors, interpolated, takes half the time of a conversion to HSV and back.
    """
    values = np.linspace(0, 1, _TABLE_SIZE, dtype=np.float32)
    blue, green, red = np.meshgrid(values, values, values, indexing="ij")
    largest = np.maximum(np.maximum(red, green), blue)
    chroma = largest - np.minimum(np.minimum(red, green), blue)
    sixth = np.select(
        [chroma == 0, largest == red, largest == green],
        [0, (green - blue) / np.maximum(chroma, 1e-6), (blue - red) / np.maximum(chroma, 1e-6) + 2],
        (red - green) / np.maximum(chroma, 1e-6) + 4,
    )
    # Each channel from hue, chroma and value, without cases: https://en.wikipedia.org/wiki/HSL_and_HSV
    places = [(offset + sixth + 6 * hue) % 6 for offset in (5, 3, 1)]
    turned = [largest - chroma * np.clip(np.minimum(place, 4 - place), 0, 1) for place in places]
    return image.filter(ImageFilter.Color3DLUT(_TABLE_SIZE, np.stack(turned, axis=-1).ravel().tolist()))


def blur(scene: Scene, context: Context, settings: Blur) -> Scene:
    """Blur by a Gaussian of a random width."""
    scene = scene.settled()
    radius = context.random.uniform(0, settings.radius)
    return replace(scene, image=scene.image.filter(ImageFilter.GaussianBlur(radius)))


def noise(scene: Scene, context: Context, settings: Noise) -> Scene:
    """Add Gaussian noise of a random strength."""
    scene = scene.settled()
    deviation = context.random.uniform(0, settings.deviation)
    pixels = np.asarray(scene.image).astype(np.float32)
    pixels += np.float32(deviation) * context.random.standard_normal(pixels.shape, dtype=np.float32)
    return replace(scene, image=Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8)))


def jpeg(scene: Scene, context: Context, settings: Jpeg) -> Scene:
    """Encode and decode the image with a random quality."""
    scene = scene.settled()
    encoded = io.BytesIO()
    quality = int(context.random.integers(settings.low, settings.high, endpoint=True))
    scene.image.save(encoded, "JPEG", quality=quality)
    return replace(scene, image=read_image(encoded.getvalue(), scene.width * scene.height))


def erase(scene: Scene, context: Context, settings: Erase) -> Scene:
    """Fill a random rectangle with the color of the padding (Zhong et al., 2020)."""
    scene = scene.settled()
    area = context.random.uniform(settings.low, settings.high) * scene.width * scene.height
    ratio = np.exp(context.random.uniform(np.log(_NARROWEST), -np.log(_NARROWEST)))
    size = np.array([scene.width, scene.height], dtype=np.float64)
    sides = np.minimum(size, np.sqrt(area) * np.array([ratio, 1 / ratio]) ** 0.5)
    corner = context.random.uniform(0, 1, size=2) * (size - sides)
    left, top, right, bottom = np.rint([*corner, *(corner + sides)]).astype(int).tolist()
    image = scene.image.copy()
    image.paste(PADDING_COLOUR, (left, top, right, bottom))
    boxes = scene.objects.boxes_xyxy
    overlap = np.minimum(boxes[:, 2:], (right, bottom)) - np.maximum(boxes[:, :2], (left, top))
    hidden = overlap.clip(min=0).prod(axis=1) / (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return replace(scene, image=image, objects=scene.objects.chosen(np.flatnonzero(hidden < HIDDEN_SHARE)))
