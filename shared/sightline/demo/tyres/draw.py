"""Drawing a dataset of tyres: one folder of images per class."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

import numpy as np
from PIL import Image

from sightline.demo.dataset import Layout, check_image, jpeg, write_images
from sightline.demo.photograph import Effects, photograph
from sightline.demo.tyres.defects import add_crack, add_cut, add_harmless_marks, bulge_shift
from sightline.demo.tyres.surface import Surface, grid, random_surface

Condition = Literal["good", "crack", "cut", "bulge"]
CLASSES: tuple[Condition, ...] = get_args(Condition)

DEFAULT_SIZE = (256, 256)
"""Width and height in pixels."""

_LAYOUT = Layout("tyres", {"": (), **dict.fromkeys(CLASSES, ("jpg",))})
_EFFECTS = Effects(blur_sigma=(0.0, 0.6), light=0.4, exposure=(-0.2, 0.4), noise_sigma=(1.0, 5.0))


def draw_image(seed: int, index: int, size: tuple[int, int] = DEFAULT_SIZE) -> tuple[Image.Image, Condition]:
    """Draw one image; the same arguments give the same image.

    Args:
        seed: Seed of the dataset, 0 to 2**32 - 1.
        index: Index of the image in the dataset, from 0.  Four images in a row, from a multiple of four, show the four
            classes in random order.
        size: Width and height in pixels, 96 to 4096 each.

    Returns:
        The RGB image and its class.

    Raises:
        DataError: An argument is out of range.
    """
    check_image(seed, index, size)
    order = np.random.default_rng([seed, index // len(CLASSES), len(CLASSES)]).permutation(len(CLASSES))
    condition = CLASSES[order[index % len(CLASSES)]]
    rng = np.random.default_rng([seed, index])
    x, y = grid(size)
    if condition == "bulge":
        *pattern, dome = bulge_shift(rng, x, y)
        surface = random_surface(rng, *pattern)
        surface.height += dome
    else:
        surface = random_surface(rng, x, y)
    add_harmless_marks(rng, surface)
    if condition == "crack":
        add_crack(rng, surface)
    elif condition == "cut":
        add_cut(rng, surface)
    return photograph(rng, _EFFECTS, _lit(rng, surface)), condition


def draw_dataset(
    folder: Path, *, images: int, seed: int, size: tuple[int, int] = DEFAULT_SIZE, start: int = 0, prefix: str = ""
) -> list[Path]:
    """Draw images of tyres into the folder of their class: ``good``, ``crack``, ``cut`` or ``bulge``.

    Args:
        folder: Created if it does not exist; must not contain files other than those of this dataset.
        images: Number of images, at least 1.
        seed: Seed of the dataset, 0 to 2**32 - 1; each seed gives different images.
        size: Width and height in pixels, 96 to 4096 each.
        start: Index of the first image; image ``i`` does not depend on it.
        prefix: Prefix of the file names, before the index.

    Returns:
        The images in the order of their indices.

    Raises:
        DataError: An argument is out of range, or the folder contains other files or cannot be written.
    """
    check_image(seed, start, size)

    def draw(index: int, name: str) -> dict[str, bytes]:
        image, condition = draw_image(seed, index, size)
        return {f"{condition}/{name}.jpg": jpeg(image)}

    return write_images(folder, _LAYOUT, draw, images=images, start=start, prefix=prefix)


def _lit(rng: np.random.Generator, surface: Surface) -> Image.Image:
    """The surface under a lamp: Lambert's law and a highlight."""
    slope_y, slope_x = np.gradient(surface.height)
    azimuth, tilt = rng.uniform(0, 2 * np.pi), rng.uniform(0.75, 1.0)
    lamp = np.array([np.cos(azimuth) * np.sin(tilt), np.sin(azimuth) * np.sin(tilt), np.cos(tilt)], dtype=np.float32)
    facing = (lamp[2] - lamp[0] * slope_x - lamp[1] * slope_y) / np.sqrt(1 + slope_x**2 + slope_y**2)
    ambient = np.float32(rng.uniform(0.25, 0.42))
    lambert = ambient + (1 - ambient) * facing.clip(0)
    gloss = np.float32(rng.uniform(0.05, 0.25)) * facing.clip(0) ** 12
    grey = surface.albedo * lambert + gloss * np.float32(0.5)
    tint = 1 + rng.normal(0, 0.012, size=3).astype(np.float32)
    return Image.fromarray(np.clip(255 * grey[:, :, None] * tint, 0, 255).astype(np.uint8))
