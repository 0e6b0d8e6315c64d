"""Random backgrounds: a street, a wall, a shutter, or colored patches."""

from __future__ import annotations

import numpy as np
from PIL import Image

from sightline.demo.canvas import Canvas, gradient, random_colour, random_grey, shade, smooth_field


def paint_background(rng: np.random.Generator, size: tuple[int, int]) -> Canvas:
    """Paint a random background.

    Args:
        rng: Source of all random choices.
        size: Width and height in pixels.

    Returns:
        A canvas to paint on.
    """
    painters = (_street, _street, _brick_wall, _shutter, _patches)
    return painters[int(rng.integers(len(painters)))](rng, size)


def _street(rng: np.random.Generator, size: tuple[int, int]) -> Canvas:
    """Sky, houses, trees and a road that leads to a vanishing point."""
    width, height = size
    sky = np.array(random_colour(rng, 90, 250), dtype=np.float64)
    canvas = Canvas(_mottled(rng, gradient(size, sky * rng.uniform(0.6, 1.2, size=(2, 2, 1))), 24))
    horizon = height * rng.uniform(0.2, 0.65)
    _houses(rng, canvas, horizon)
    for _ in range(int(rng.integers(0, 5))):
        _tree(rng, canvas, horizon)
    road = random_grey(rng, 45, 175)
    canvas.rectangle((0, horizon), (width, height), random_colour(rng, 40, 170))
    vanishing = np.array([width * rng.uniform(0.1, 0.9), horizon])
    left, right = width * rng.uniform(-0.9, 0.2), width * rng.uniform(0.8, 1.9)
    canvas.polygon(np.array([vanishing, (right, height), (left, height)]), road)
    paint = shade(road, 1.5)
    for share in np.linspace(0.0, 1.0, int(rng.integers(3, 6))):
        foot = np.array([left + share * (right - left), height])
        aside = np.array([width * 0.012, 0.0])
        for start in np.arange(0.08, 1.0, 0.2):
            near, far = start + 0.1, start
            dash = [
                vanishing + far * (foot - aside - vanishing),
                vanishing + far * (foot + aside - vanishing),
                vanishing + near * (foot + aside - vanishing),
                vanishing + near * (foot - aside - vanishing),
            ]
            canvas.polygon(dash, paint)
    return canvas


def _houses(rng: np.random.Generator, canvas: Canvas, horizon: float) -> None:
    width = canvas.size[0]
    left = width * rng.uniform(-0.2, 0.1)
    while left < width:
        house_width = width * rng.uniform(0.1, 0.4)
        if rng.random() < 0.8:
            top = horizon * rng.uniform(-0.3, 0.85)
            front = random_colour(rng, 50, 230)
            canvas.rectangle((left, top), (left + house_width, horizon + 1), front)
            window = shade(front, rng.choice([0.45, 0.65, 1.35]))
            columns = int(rng.integers(2, 6))
            step = house_width / columns
            for x in left + step * (np.arange(columns) + 0.25):
                for y in np.arange(top + 0.4 * step, horizon - 0.6 * step, step):
                    canvas.rectangle((x, y), (x + 0.5 * step, y + 0.55 * step), window)
        left += house_width


def _tree(rng: np.random.Generator, canvas: Canvas, horizon: float) -> None:
    width, height = canvas.size
    foot = np.array([width * rng.random(), horizon + height * rng.uniform(0.0, 0.06)])
    tall = height * rng.uniform(0.15, 0.45)
    canvas.line([foot, foot - (0, tall)], tall * 0.07, random_grey(rng, 40, 90))
    crown = np.array([30, rng.integers(70, 130), 30]) * rng.uniform(0.6, 1.3)
    for _ in range(7):
        offset = rng.normal(0.0, 0.16, size=2) * tall
        red, green, blue = (int(value) for value in np.clip(crown * rng.uniform(0.7, 1.2), 0, 255))
        canvas.ellipse(foot - (0, tall) + offset, tall * rng.uniform(0.15, 0.3, size=2), (red, green, blue))


def _brick_wall(rng: np.random.Generator, size: tuple[int, int]) -> Canvas:
    """Bricks, tiles or slabs, each in its own shade, slightly skewed."""
    width, height = size
    joint = random_grey(rng, 60, 220)
    canvas = Canvas(Image.new("RGB", size, joint))
    row = height * rng.uniform(0.05, 0.22)
    column = row * rng.uniform(1.0, 3.2)
    stone = np.array(random_colour(rng, 60, 220))
    lean = rng.uniform(-0.25, 0.25, size=2)
    gap = row * rng.uniform(0.04, 0.12)
    bond = rng.choice([0.0, 0.5])
    spread = rng.uniform(0.03, 0.18)
    for line, y in enumerate(np.arange(-0.3 * height, 1.3 * height, row)):
        for x in np.arange(-0.3 * width - bond * column * (line % 2), 1.3 * width, column):
            corners = np.array([(x, y), (x + column - gap, y), (x + column - gap, y + row - gap), (x, y + row - gap)])
            corners = corners + (corners[:, ::-1] - (height / 2, width / 2)) * lean
            red, green, blue = (int(value) for value in np.clip(stone * rng.normal(1.0, spread), 0, 255))
            canvas.polygon(corners, (red, green, blue))
    _openings(rng, canvas)
    return canvas


def _openings(rng: np.random.Generator, canvas: Canvas) -> None:
    """Doors and windows in a wall."""
    width, height = canvas.size
    for _ in range(int(rng.integers(1, 4))):
        wide, tall = width * rng.uniform(0.12, 0.45), height * rng.uniform(0.2, 0.8)
        x, y = width * rng.uniform(-0.2, 1.0), height * rng.uniform(-0.3, 0.9)
        frame = random_grey(rng, 20, 240)
        canvas.rectangle((x, y), (x + wide, y + tall), frame)
        edge = 0.05 * wide
        canvas.rectangle((x + edge, y + edge), (x + wide - edge, y + tall - edge), random_colour(rng, 15, 220))


def _shutter(rng: np.random.Generator, size: tuple[int, int]) -> Canvas:
    """A roller shutter, a fence or planks: slats at any angle, with posts across."""
    width, height = size
    colour = random_colour(rng, 50, 220)
    canvas = Canvas(gradient(size, np.array(colour) * rng.uniform(0.5, 1.3, size=(2, 2, 1))))
    angle = np.deg2rad(rng.choice([0.0, 90.0]) + rng.normal(0.0, 9.0))
    along, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    reach = float(width + height)
    pitch = height * rng.uniform(0.04, 0.18)
    dark = rng.uniform(0.5, 0.9)
    middle = np.array(size) / 2
    for offset in np.arange(-reach / 2, reach / 2, pitch):
        start = middle + offset * across
        for side, factor in ((0.0, dark), (0.35, 2.0 - dark)):
            edge = start + side * pitch * across
            thick = 0.22 * pitch * across
            strip = [edge - reach * along, edge + reach * along, edge + reach * along + thick]
            canvas.polygon([*strip, edge - reach * along + thick], shade(colour, factor), opacity=0.6)
    _openings(rng, canvas)
    return canvas


def _patches(rng: np.random.Generator, size: tuple[int, int]) -> Canvas:
    """Soft patches of light and color, like objects out of focus."""
    corners = rng.uniform(20, 235, size=(2, 2, 3))
    canvas = Canvas(_mottled(rng, gradient(size, corners), 70))
    for _ in range(int(rng.integers(5, 16))):
        centre = rng.random(2) * size
        radius = size[1] * rng.uniform(0.06, 0.3)
        canvas.ellipse(centre, (radius, radius), random_colour(rng, 10, 250), opacity=rng.uniform(0.2, 0.6))
    return canvas


def _mottled(rng: np.random.Generator, image: Image.Image, strength: float) -> Image.Image:
    """Add smooth random variations of brightness; ``strength`` in gray levels."""
    columns, rows = (int(value) for value in rng.integers(3, 7, size=2))
    change = strength * smooth_field(rng, image.size, (columns, rows))
    return Image.fromarray(np.clip(np.asarray(image) + change[:, :, None], 0, 255).astype(np.uint8))
