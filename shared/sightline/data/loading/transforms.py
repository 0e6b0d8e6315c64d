"""Resizes an image to the network's input: the preprocessing that training and inference share."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

PADDING_COLOUR = (124, 116, 104)
"""Mean color of ImageNet, RGB: zero after normalization, like the padding of a batch."""


@dataclass(frozen=True, slots=True)
class Placement:
    """How an image was resized: ``x' = scale_x * x`` and ``y' = scale_y * y``, in pixels."""

    scale_x: float
    scale_y: float


def fitted_size(width: int, height: int, image_size: int) -> tuple[int, int]:
    """Width and height of an image of this size after :func:`fit_image`, pixels.

    Example:
        >>> fitted_size(640, 480, 800)
        (800, 600)
    """
    scale = image_size / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def fit_image(image: Image.Image, image_size: int) -> tuple[Image.Image, Placement]:
    """Resize an image so that its longer side has ``image_size`` pixels.

    Args:
        image: RGB, any size.
        image_size: Pixels.

    Returns:
        The resized image, and its placement, with slightly different scales because both sides are rounded to whole
        pixels.
    """
    width, height = fitted_size(*image.size, image_size)
    return resize(image, width, height), Placement(width / image.width, height / image.height)


def resize(image: Image.Image, width: int, height: int) -> Image.Image:
    """An image resized to exactly this size, in pixels; the same image if it has that size."""
    if (width, height) == image.size:
        return image
    return image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0)
