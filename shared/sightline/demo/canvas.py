"""An antialiased canvas: everything is drawn at twice the size and downscaled at the end."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw

Colour = tuple[int, int, int]
"""Red, green and blue, 0 to 255."""

Points = NDArray[np.float64]
"""(N, 2), x and y; y points down."""

_OVERSAMPLING = 2


class Canvas:
    """An RGB canvas; all coordinates are pixels of the finished image.

    Args:
        image: The image to paint on.
    """

    def __init__(self, image: Image.Image) -> None:
        self.size = image.size
        self._image = image.resize((image.width * _OVERSAMPLING, image.height * _OVERSAMPLING))
        self._draw = ImageDraw.Draw(self._image, "RGBA")

    def polygon(self, points: ArrayLike, colour: Colour, opacity: float = 1.0) -> None:
        """Fill a polygon, (N, 2)."""
        flat = (np.asarray(points, dtype=np.float64) * _OVERSAMPLING).ravel().tolist()
        self._draw.polygon(flat, fill=(*colour, round(255 * opacity)))

    def rectangle(self, upper_left: ArrayLike, lower_right: ArrayLike, colour: Colour) -> None:
        """Fill an axis-aligned rectangle between two opposite corners."""
        (left, top), (right, bottom) = np.asarray(upper_left), np.asarray(lower_right)
        self.polygon([(left, top), (right, top), (right, bottom), (left, bottom)], colour)

    def ellipse(self, centre: ArrayLike, radii: ArrayLike, colour: Colour, opacity: float = 1.0) -> None:
        """Fill an axis-aligned ellipse."""
        middle, half = np.asarray(centre, dtype=np.float64), np.asarray(radii, dtype=np.float64)
        box = (np.concatenate([middle - half, middle + half]) * _OVERSAMPLING).tolist()
        self._draw.ellipse(box, fill=(*colour, round(255 * opacity)))

    def line(self, points: ArrayLike, width: float, colour: Colour) -> None:
        """Draw an open polyline, (N, 2)."""
        flat = (np.asarray(points, dtype=np.float64) * _OVERSAMPLING).ravel().tolist()
        self._draw.line(flat, fill=(*colour, 255), width=max(1, round(width * _OVERSAMPLING)))

    def finish(self) -> Image.Image:
        """The finished image, downscaled to its size."""
        return self._image.reduce(_OVERSAMPLING)


def smooth_field(rng: np.random.Generator, size: tuple[int, int], cells: tuple[int, int]) -> NDArray[np.float32]:
    """Smooth random values between -1 and 1.

    Args:
        rng: Source of the random values.
        size: Width and height of the result.
        cells: Columns and rows of the random grid that is upscaled.

    Returns:
        (height, width), float32.
    """
    grid = rng.uniform(-1.0, 1.0, size=(cells[1], cells[0])).astype(np.float32)
    blown_up = np.asarray(Image.fromarray(grid).resize(size, Image.Resampling.BICUBIC))
    field: NDArray[np.float32] = np.clip(blown_up, -1.0, 1.0)
    return field


def gradient(size: tuple[int, int], corners: NDArray[np.float64]) -> Image.Image:
    """An RGB image interpolated between the colors of its four corners.

    Args:
        size: Width and height in pixels.
        corners: (2, 2, 3) colors, 0 to 255: row, column, channel.
    """
    small = Image.fromarray(np.clip(corners, 0, 255).astype(np.uint8))
    # Bilinear upscaling of 2 x 2 pixels is constant in the outer quarters; the inner half has the whole gradient.
    return small.resize(size, Image.Resampling.BILINEAR, box=(0.5, 0.5, 1.5, 1.5))


def random_colour(rng: np.random.Generator, low: int = 20, high: int = 235) -> Colour:
    """A random, rather pale color with channels between ``low`` and ``high``."""
    pure = rng.uniform(low, high, size=3)
    muted = pure.mean() + rng.beta(2.0, 2.5) * (pure - pure.mean())
    red, green, blue = (int(value) for value in muted)
    return red, green, blue


def random_grey(rng: np.random.Generator, low: int = 20, high: int = 235, tint: int = 14) -> Colour:
    """A random gray with a slight tint, as of concrete, asphalt or metal."""
    grey = rng.integers(low, high)
    red, green, blue = (int(value) for value in np.clip(grey + rng.integers(-tint, tint + 1, size=3), 0, 255))
    return red, green, blue


def shade(colour: Colour, factor: float) -> Colour:
    """A brighter or darker shade of the color."""
    red, green, blue = (min(255, round(channel * factor)) for channel in colour)
    return red, green, blue
