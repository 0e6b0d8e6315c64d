"""Brightness and sharpness of the images of a split, for slices; each image is decoded once, at a reduced size."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from sightline.data.formats.coco import CocoImage
from sightline.data.images import UnreadableImageError, read_reduced
from sightline.documents import DocumentError, DocumentKind
from sightline.files import write_atomically
from sightline.metrics.statistic import Floats

LONGER_SIDE = 256
"""Pixels of the longer side at which sharpness is measured, so that it does not depend on the size of the file."""


@dataclass(frozen=True, slots=True)
class ImageQualities:
    """Brightness and sharpness, in the order of the images; NaN for an image that cannot be read.

    Attributes:
        brightness: [I], mean gray value, 0 (black) to 255 (white).
        sharpness: [I], variance of the Laplacian, 0 or more; blurred images have a low one.
    """

    brightness: Floats
    sharpness: Floats


@dataclass(frozen=True, slots=True)
class _Kept:
    """SHA-256 of an image -> its brightness and sharpness."""

    values: dict[str, list[float]] = field(default_factory=dict)


_KEPT = DocumentKind("image qualities", _Kept)


def image_qualities(
    images: Sequence[CocoImage], root: Path, max_pixels: int, kept: Path | None = None
) -> ImageQualities:
    """Measure the images, or look up those that were measured before.

    Args:
        images: The images of a split.
        root: The folder that their file names are relative to.
        max_pixels: Images with more pixels are not measured.
        kept: File that keeps the values by the SHA-256 of the image; None: they are not kept.
    """
    known = _read(kept)
    values = np.full((len(images), 2), math.nan)
    measured = 0
    for row, image in enumerate(images):
        found = known.get(image["sha256"]) if image["sha256"] else None
        if found is None:
            try:
                picture, _ = read_reduced(root / image["file_name"], max_pixels, LONGER_SIDE)
            except UnreadableImageError:
                continue
            found = [*quality(picture)]
            measured += 1
            if image["sha256"]:
                known[image["sha256"]] = found
        values[row] = found
    if kept is not None and measured:
        write_atomically(kept, json.dumps(_KEPT.encode(_Kept(known))))
    return ImageQualities(values[:, 0], values[:, 1])


def quality(image: Image.Image) -> tuple[float, float]:
    """Brightness and sharpness of one image.

    Sharpness is the variance of the Laplacian (Pech-Pacheco et al., 2000) at a longer side of :data:`LONGER_SIDE`
    pixels.

    Args:
        image: At least as large as it is measured, unless the file is smaller.

    Example:
        >>> quality(Image.new("RGB", (64, 64), (100, 100, 100)))
        (100.0, 0.0)
    """
    gray = image.convert("L")
    share = LONGER_SIDE / max(gray.size)
    if share < 1:
        size = max(1, round(gray.width * share)), max(1, round(gray.height * share))
        gray = gray.resize(size, Image.Resampling.BOX)
    pixels: npt.NDArray[np.int16] = np.asarray(gray, dtype=np.int16)
    brightness = float(pixels.mean())
    if min(pixels.shape) < 3:
        return brightness, 0.0
    middle = pixels[1:-1, 1:-1]
    laplacian = pixels[:-2, 1:-1] + pixels[2:, 1:-1] + pixels[1:-1, :-2] + pixels[1:-1, 2:] - 4 * middle
    return brightness, float(laplacian.var())


def _read(kept: Path | None) -> dict[str, list[float]]:
    """The values that were kept; a file that cannot be read is written again."""
    if kept is None or not kept.is_file():
        return {}
    try:
        values = _KEPT.decode(kept.read_bytes(), max_bytes=2**31).values
    except (OSError, DocumentError):
        return {}
    return {sha256: found for sha256, found in values.items() if len(found) == 2 and all(map(math.isfinite, found))}
