"""The effects of the camera on a scene: uneven light, exposure, blur and noise."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

from sightline.demo.canvas import smooth_field
from sightline.demo.difficulty import REFERENCE_SIDE, Conditions


def photograph(rng: np.random.Generator, conditions: Conditions, scene: Image.Image) -> Image.Image:
    """Apply the effects of a camera to a scene.

    Args:
        rng: Source of all random choices.
        conditions: Ranges for the difficulty.
        scene: RGB image, evenly lit.

    Returns:
        RGB image of the same size as ``scene``.
    """
    blur = rng.uniform(*conditions.blur_sigma) * max(scene.size) / REFERENCE_SIDE
    blurred = scene.filter(ImageFilter.GaussianBlur(blur))
    stops = rng.uniform(*conditions.exposure) + conditions.light * _light(rng, scene.size)
    tint = rng.normal(1.0, 0.03, size=3).astype(np.float32)
    exposed = np.asarray(blurred, dtype=np.float32) * np.exp2(stops)[:, :, None] * tint
    noise = rng.standard_normal(exposed.shape, dtype=np.float32)
    noise *= np.float32(rng.uniform(*conditions.noise_sigma))
    return Image.fromarray(np.clip(exposed + noise + 0.5, 0, 255).astype(np.uint8))


def _light(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """A linear gradient plus smooth variations, (height, width), about -1 to 1."""
    width, height = size
    angle = rng.uniform(0.0, 2.0 * np.pi)
    x = np.linspace(-0.5, 0.5, width, dtype=np.float32) * np.float32(np.cos(angle))
    y = np.linspace(-0.5, 0.5, height, dtype=np.float32) * np.float32(np.sin(angle))
    slope = np.float32(rng.uniform(0.3, 1.0)) * (x[None, :] + y[:, None])
    return slope + np.float32(0.5) * smooth_field(rng, size, (4, 3))
