"""The surface of a tyre: height and brightness of every pixel of a tread or a sidewall.

Heights are in pixels of an image with a shorter side of ``REFERENCE_SIDE``; positive is towards the camera.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sightline.demo.canvas import smooth_field

REFERENCE_SIDE = 256
"""Shorter side of the image that lengths refer to."""

Field = NDArray[np.float32]
"""(height, width), float32."""


@dataclass(slots=True)
class Surface:
    """A piece of rubber.

    Attributes:
        height: Height of each pixel.
        albedo: Share of light that each pixel reflects, 0 to 1.
    """

    height: Field
    albedo: Field


def grid(size: tuple[int, int]) -> tuple[Field, Field]:
    """Coordinates x and y of every pixel, from the middle of the image, in units of ``REFERENCE_SIDE``."""
    width, height = size
    unit = REFERENCE_SIDE / min(size)
    x = (np.arange(width, dtype=np.float32) + 0.5 - width / 2) * np.float32(unit)
    y = (np.arange(height, dtype=np.float32) + 0.5 - height / 2) * np.float32(unit)
    columns, rows = np.meshgrid(x, y)
    return columns, rows


def random_surface(rng: np.random.Generator, x: Field, y: Field) -> Surface:
    """Choose a tread or a sidewall at random.

    Args:
        rng: Source of all random choices.
        x: From :func:`grid`.
        y: From :func:`grid`.
    """
    painter = (_tread, _sidewall)[int(rng.integers(2))]
    surface = painter(rng, x, y)
    size = (x.shape[1], x.shape[0])
    rough = rng.standard_normal(x.shape, dtype=np.float32)
    surface.height += np.float32(rng.uniform(0.08, 0.22)) * rough + 1.5 * smooth_field(rng, size, (9, 9))
    stains = smooth_field(rng, size, (int(rng.integers(3, 9)), int(rng.integers(3, 9))))
    surface.albedo *= 1.0 + np.float32(rng.uniform(0.05, 0.25)) * stains
    return surface


def _tread(rng: np.random.Generator, x: Field, y: Field) -> Surface:
    """Blocks between grooves along and across the tyre, with fine sipes."""
    along, across = _turned(x, y, rng.uniform(-0.3, 0.3) + rng.choice([0.0, np.pi / 2]))
    pitch, groove = rng.uniform(62.0, 100.0), rng.uniform(7.0, 13.0)
    wave = rng.uniform(0.0, 9.0) * _triangle(along / rng.uniform(38.0, 80.0))
    ribs = _grooves(across + wave + rng.uniform(0, pitch), pitch, groove)
    slant = rng.uniform(-0.7, 0.7) * (across if rng.random() < 0.5 else np.abs(across))
    length = rng.uniform(42.0, 85.0)
    phase = along + slant + rng.uniform(0, length)
    lateral = _grooves(phase, length, groove * rng.uniform(0.4, 0.8))
    sipes = np.float32(rng.random() < 0.6) * _grooves(phase + length / 2, length / 2, 1.6)
    depth = np.maximum(ribs, lateral * np.float32(rng.uniform(0.4, 1.0)))
    albedo = np.float32(rng.uniform(0.4, 0.55)) * (1.0 - 0.55 * depth) * (1.0 - 0.3 * sipes)
    return Surface((-7.0 * depth - 1.0 * sipes).astype(np.float32), albedo.astype(np.float32))


def _sidewall(rng: np.random.Generator, x: Field, y: Field) -> Surface:
    """Rings around the wheel's axle, a band of fine ribs, and raised marks like letters."""
    radius, angle = rng.uniform(300.0, 620.0), rng.uniform(0.0, 2 * np.pi)
    from_axle_x, from_axle_y = x + np.float32(radius * np.cos(angle)), y + np.float32(radius * np.sin(angle))
    out = np.hypot(from_axle_x, from_axle_y) - np.float32(radius)
    around = np.arctan2(from_axle_y, from_axle_x) * np.float32(radius)
    height, albedo = np.zeros_like(x), np.full_like(x, rng.uniform(0.4, 0.55))
    for _ in range(int(rng.integers(2, 6))):
        ring = _bump((out - np.float32(rng.uniform(-110, 110))) / np.float32(rng.uniform(2.0, 5.0)))
        height += np.float32(rng.uniform(1.5, 4.0)) * ring
    band = _bump((out - np.float32(rng.uniform(-90, 90))) / np.float32(rng.uniform(14.0, 30.0)))
    ribs = np.sin(2 * np.pi * around / np.float32(rng.uniform(5.0, 10.0)))
    height += np.float32(rng.uniform(0.3, 1.1)) * band * ribs
    _letters(rng, height, albedo, out, around)
    return Surface(height, albedo)


def _letters(rng: np.random.Generator, height: Field, albedo: Field, out: Field, around: Field) -> None:
    """Raise marks that look like the letters and digits of a size or a brand."""
    line, tall = rng.uniform(-60, 60), rng.uniform(16, 30)
    wide = tall * rng.uniform(0.55, 0.8)
    left = rng.uniform(-150, -20) + float(around.mean())
    light = rng.uniform(0.95, 1.3)
    for _ in range(int(rng.integers(0, 8))):
        u, v = (around - np.float32(left)) / np.float32(wide), (out - np.float32(line)) / np.float32(tall)
        stem = _box(u + 0.36, v, 0.14, 0.5)
        bar = _box(u, v - np.float32(rng.choice([-0.42, 0.0, 0.42])), 0.42, 0.11)
        other = _box(u - np.float32(rng.choice([0.0, 0.36])), v, 0.14, 0.5)
        mark = np.maximum(np.maximum(stem, bar), other)
        height += 2.2 * mark
        albedo *= 1.0 + np.float32(light - 1.0) * mark
        left += wide * 1.3


def _turned(x: Field, y: Field, angle: float) -> tuple[Field, Field]:
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return cos * x + sin * y, cos * y - sin * x


def _grooves(position: NDArray[np.floating], pitch: float, width: float) -> Field:
    """1 in grooves that repeat with ``pitch``, 0 between them, with soft edges."""
    distance = np.abs((position + pitch / 2) % pitch - pitch / 2)
    grooves: Field = np.clip((width / 2 - distance) / 1.6 + 0.5, 0, 1).astype(np.float32)
    return grooves


def _triangle(position: NDArray[np.floating]) -> Field:
    """A triangle wave between -1 and 1 with period 1."""
    wave: Field = (4 * np.abs(position % 1.0 - 0.5) - 1).astype(np.float32)
    return wave


def _bump(position: Field) -> Field:
    """A smooth bump of width 2 and height 1 at 0."""
    bump: Field = np.clip(1 - position * position, 0, 1) ** 2
    return bump


def _box(u: Field, v: Field, half_width: float, half_height: float) -> Field:
    """1 in a rectangle around 0, with soft edges."""
    edge = np.maximum(np.abs(u) - half_width, np.abs(v) - half_height)
    return np.clip(0.5 - edge / 0.1, 0, 1).astype(np.float32)
