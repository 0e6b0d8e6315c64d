"""The defects: a crack, a cut or a bulge in the surface; and marks that are none."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from sightline.demo.canvas import Points, smooth_field
from sightline.demo.tyres.surface import REFERENCE_SIDE, Field, Surface

_OVERSAMPLING = 2


def bulge_shift(rng: np.random.Generator, x: Field, y: Field) -> tuple[Field, Field, Field]:
    """A dome that stretches the pattern of the tyre over it.

    Args:
        rng: Source of all random choices.
        x: From ``surface.grid``.
        y: From ``surface.grid``.

    Returns:
        x and y of the pattern under each pixel, and the height of the dome.
    """
    centre = rng.uniform(-45, 45, size=2)
    radii = rng.uniform(58, 92) * np.array([1.0, rng.uniform(0.7, 1.0)])
    angle = rng.uniform(0, np.pi)
    cos, sin = np.cos(angle), np.sin(angle)
    dx, dy = x - np.float32(centre[0]), y - np.float32(centre[1])
    u, v = (cos * dx + sin * dy) / radii[0], (cos * dy - sin * dx) / radii[1]
    dome = np.clip(1 - u * u - v * v, 0, None).astype(np.float32) ** np.float32(1.4)
    pull = 1 - np.float32(rng.uniform(0.25, 0.45)) * dome
    height = np.float32(radii[1] * rng.uniform(0.65, 0.85)) * dome
    return centre[0] + dx * pull, centre[1] + dy * pull, height.astype(np.float32)


def add_crack(rng: np.random.Generator, surface: Surface) -> None:
    """A jagged, branching crack that runs over a large part of the surface, or several of them."""
    lines: list[tuple[Points, float]] = []
    direction = rng.uniform(0, 2 * np.pi)
    for _ in range(int(rng.integers(1, 3))):
        start = rng.uniform(-50, 50, size=2) - 70 * np.array([np.cos(direction), np.sin(direction)])
        trunk = _jagged(rng, start, direction, int(rng.integers(16, 24)), 9.0)
        lines.append((trunk, rng.uniform(4.2, 6.0)))
        for knot in rng.choice(len(trunk) - 4, size=int(rng.integers(3, 6)), replace=False):
            turn = direction + rng.choice([-1, 1]) * rng.uniform(0.5, 1.1)
            lines.append((_jagged(rng, trunk[knot], turn, int(rng.integers(4, 10)), 7.5), rng.uniform(2.4, 3.8)))
        direction += rng.uniform(-0.5, 0.5)
    shape = surface.height.shape
    mask = np.zeros(shape, dtype=np.float32)
    for points, width in lines:
        widths = width * np.linspace(1.0, 0.45, len(points) - 1)
        mask = np.maximum(mask, _strokes(shape, points, widths))
    surface.height -= np.float32(6.0) * mask
    surface.albedo *= 1 - np.float32(rng.uniform(0.85, 0.97)) * mask


def add_cut(rng: np.random.Generator, surface: Surface) -> None:
    """A straight, clean gash, wide in the middle, between raised lips; threads show inside."""
    shape = surface.height.shape
    angle, length = rng.uniform(0, np.pi), rng.uniform(110, 180)
    half = length / 2 * np.array([np.cos(angle), np.sin(angle)])
    aside = np.array([-np.sin(angle), np.cos(angle)])
    centre = rng.uniform(-45, 45, size=2)
    bend = rng.uniform(-0.06, 0.06) * length
    places = np.linspace(-1, 1, 17)
    spine = centre + places[:, None] * half + (bend * (1 - places**2))[:, None] * aside
    opening = rng.uniform(15.0, 24.0) * (1 - places**2) ** 0.8
    lips, gash, inside = (
        _lens(shape, spine, aside, grow * opening + extra) for grow, extra in ((1.25, 3.0), (1.0, 0.6), (0.5, 0.0))
    )
    surface.height += np.float32(4.5) * lips - np.float32(13.0) * gash
    surface.albedo *= 1 + np.float32(0.5) * (lips - gash).clip(0)
    dark, cords = np.float32(rng.uniform(0.04, 0.09)), np.float32(rng.uniform(0.35, 0.75))
    surface.albedo += gash * (dark - surface.albedo)
    rows, columns = np.indices(shape, dtype=np.float32)
    frequency = rng.uniform(0.6, 1.1) * 2 * half / length
    uneven = 2.5 * smooth_field(rng, (shape[1], shape[0]), (14, 14))
    threads = 0.5 + 0.5 * np.sin(columns * np.float32(frequency[0]) + rows * np.float32(frequency[1]) + uneven)
    surface.albedo += inside * threads * (cords - surface.albedo)


def add_harmless_marks(rng: np.random.Generator, surface: Surface) -> None:
    """What every tyre may have: dust, water drops, chalk, a mold line."""
    shape = surface.height.shape
    for _ in range(int(rng.integers(0, 14))):
        at, radius = rng.uniform(-125, 125, size=2), rng.uniform(1.0, 3.6)
        spot = _strokes(shape, np.stack([at, at + 0.1]), np.array([2 * radius]))
        surface.albedo *= 1 + np.float32(rng.uniform(-0.3, 0.6)) * spot
        surface.height += np.float32(rng.uniform(0, 1.5)) * spot
    if rng.random() < 0.25:
        chalk = _jagged(rng, rng.uniform(-80, 80, size=2), rng.uniform(0, 6.3), 6, 14.0)
        mask = _strokes(shape, chalk, np.full(len(chalk) - 1, rng.uniform(4, 8)))
        surface.albedo += np.float32(rng.uniform(0.1, 0.3)) * mask
    if rng.random() < 0.3:
        angle, middle = rng.uniform(0, np.pi), rng.uniform(-70, 70, size=2)
        reach = 260 * np.array([np.cos(angle), np.sin(angle)])
        seam = _strokes(shape, np.stack([middle - reach, middle + reach]), np.array([2.2]))
        surface.height += np.float32(1.5) * seam


def _jagged(rng: np.random.Generator, start: Points, direction: float, steps: int, stride: float) -> Points:
    """A random walk that keeps to a direction, (steps + 1, 2)."""
    turns = direction + rng.normal(0, 0.55, size=steps)
    lengths = stride * rng.uniform(0.5, 1.5, size=steps)
    walk = np.cumsum(lengths[:, None] * np.stack([np.cos(turns), np.sin(turns)], axis=1), axis=0)
    return np.concatenate([start[None], start + walk])


def _strokes(shape: tuple[int, ...], points: Points, widths: Points) -> Field:
    """Lines of the given widths between points, from 0 to 1, antialiased."""
    large, draw, scale = _large(shape)
    pixels = _pixels(large, points, scale)
    for start, end, width in zip(pixels[:-1], pixels[1:], widths, strict=True):
        draw.line([*start, *end], fill=255, width=max(1, round(width * scale)))
        radius = width * scale / 2
        if radius > 1:
            draw.ellipse([*(end - radius), *(end + radius)], fill=255)
    return _reduced(large)


def _lens(shape: tuple[int, ...], spine: Points, aside: Points, widths: Points) -> Field:
    """The area within half of ``widths`` on both sides of a spine, from 0 to 1, antialiased."""
    large, draw, scale = _large(shape)
    offsets = widths[:, None] / 2 * aside
    outline = np.concatenate([spine + offsets, (spine - offsets)[::-1]])
    draw.polygon(_pixels(large, outline, scale).ravel().tolist(), fill=255)
    return _reduced(large)


def _large(shape: tuple[int, ...]) -> tuple[Image.Image, ImageDraw.ImageDraw, float]:
    image = Image.new("L", (shape[1] * _OVERSAMPLING, shape[0] * _OVERSAMPLING), 0)
    return image, ImageDraw.Draw(image), _OVERSAMPLING * min(shape) / REFERENCE_SIDE


def _pixels(large: Image.Image, points: Points, scale: float) -> Points:
    """From coordinates of ``surface.grid`` to pixels of the large image."""
    pixels: Points = points * scale + np.array(large.size) / 2 - 0.5
    return pixels


def _reduced(large: Image.Image) -> Field:
    return np.asarray(large.reduce(_OVERSAMPLING), dtype=np.float32) / np.float32(255)
