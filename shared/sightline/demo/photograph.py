"""The effects of the camera on a scene: uneven light, exposure, blur and noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from sightline.demo.canvas import smooth_field

REFERENCE_SIDE = 192
"""Longer side of the image that lengths refer to; they are scaled for other sizes."""

Range = tuple[float, float]
"""Minimum and maximum of a uniform distribution."""


@dataclass(frozen=True, slots=True)
class Effects:
    """How strong the effects are.

    Attributes:
        blur_sigma: Standard deviation of the blur, pixels at ``REFERENCE_SIDE``.
        light: Maximum change of brightness across the image, in powers of two.
        exposure: Change of brightness of the whole image, in powers of two.
        noise_sigma: Standard deviation of the sensor noise, in gray levels of 255.
    """

    blur_sigma: Range
    light: float
    exposure: Range
    noise_sigma: Range


def photograph(rng: np.random.Generator, effects: Effects, scene: Image.Image) -> Image.Image:
    """Apply the effects of a camera to a scene.

    Args:
        rng: Source of all random choices.
        effects: How strong the effects are.
        scene: RGB image, evenly lit.

    Returns:
        RGB image of the same size as ``scene``.
    """
    blur = rng.uniform(*effects.blur_sigma) * max(scene.size) / REFERENCE_SIDE
    blurred = scene.filter(ImageFilter.GaussianBlur(blur))
    stops = rng.uniform(*effects.exposure) + effects.light * _light(rng, scene.size)
    tint = rng.normal(1.0, 0.03, size=3).astype(np.float32)
    exposed = np.asarray(blurred, dtype=np.float32) * np.exp2(stops)[:, :, None] * tint
    noise = rng.standard_normal(exposed.shape, dtype=np.float32)
    noise *= np.float32(rng.uniform(*effects.noise_sigma))
    return Image.fromarray(np.clip(exposed + noise + 0.5, 0, 255).astype(np.uint8))


def _light(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """A linear gradient plus smooth variations, (height, width), about -1 to 1."""
    width, height = size
    angle = rng.uniform(0.0, 2.0 * np.pi)
    x = np.linspace(-0.5, 0.5, width, dtype=np.float32) * np.float32(np.cos(angle))
    y = np.linspace(-0.5, 0.5, height, dtype=np.float32) * np.float32(np.sin(angle))
    slope = np.float32(rng.uniform(0.3, 1.0)) * (x[None, :] + y[:, None])
    return slope + np.float32(0.5) * smooth_field(rng, size, (4, 3))
