"""Conversion of a predictor's input image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from sightline.data.images import read_image
from sightline.errors import DataError


def rgb_image(image: Image.Image | npt.NDArray[np.uint8] | Path | str, max_pixels: int) -> Image.Image:
    """The input image of a predictor as a Pillow image in RGB.

    Args:
        image: The path of an image file, whose EXIF orientation is applied; or pixels, used as they are: a Pillow
            image, or uint8 [height, width, 3] RGB or [height, width] gray.
        max_pixels: Image files with more pixels are rejected.

    Raises:
        DataError: The file cannot be read, or the array is not an image.
    """
    if isinstance(image, (str, Path)):
        return read_image(Path(image), max_pixels, "max_pixels")
    if isinstance(image, np.ndarray):
        colours = image.shape[2:] in {(), (3,)}
        if image.dtype != np.uint8 or image.ndim not in {2, 3} or not colours or not image.size:
            raise DataError(
                f"an array of {image.dtype} {list(image.shape)} is not an image; expected uint8 [height, width, 3] RGB "
                "or [height, width] gray, with at least one pixel"
            )
        image = Image.fromarray(np.ascontiguousarray(image))
    return image if image.mode == "RGB" else image.convert("RGB")
