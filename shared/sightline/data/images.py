"""Decodes images, in one place: allowed formats, pixel limit, EXIF orientation, truncation, perceptual hash."""

from __future__ import annotations

import hashlib
import io
import math
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from sightline.errors import DataError
from sightline.plural import either

FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "TIFF", "GIF")
"""Pillow's names of the supported formats; MPO files of phones count as JPEG.  The contents decide, not the name."""

EXTENSIONS = {
    "JPEG": ".jpg", "MPO": ".jpg", "PNG": ".png", "BMP": ".bmp", "WEBP": ".webp", "TIFF": ".tif", "GIF": ".gif",
}  # fmt: skip
"""The file extension for each format."""

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif"})
"""File extensions of images, in lower case."""

_BYTES_A_PIXEL = 8
"""An upper limit for all formats; a larger file is rejected before it is read."""

MAX_SCANS = 100
"""For JPEG.  Each scan covers all pixels, so a small file with thousands of scans would take minutes to decode."""

_SCAN = b"\xff\xda"
"""Start-of-scan marker; these bytes never occur inside a scan."""

_LFS_POINTER = b"version https://git-lfs"

TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation -> operation that makes the stored pixels upright (EXIF 2.32, tag 0x0112)."""

_ORIENTATION = 0x0112

_FIRST_TURNED = 5
"""From this orientation on, width and height of the stored and the upright image are exchanged."""

_DECODER_ERRORS = (
    OSError, SyntaxError, ValueError, LookupError, TypeError, ArithmeticError, AttributeError, EOFError, RuntimeError,
    AssertionError, MemoryError, struct.error, zlib.error, Image.DecompressionBombError,
)  # fmt: skip
"""Exceptions of Pillow's decoders for broken bytes; its documentation promises no common base class."""


class UnreadableImageError(DataError):
    """An image that cannot be used.

    Attributes:
        reason: What is wrong with it.
        remedy: How to fix it.
    """

    def __init__(self, name: str, reason: str, remedy: str) -> None:
        super().__init__(f"{name}: {reason}; {remedy}")
        self.name, self.reason, self.remedy = name, reason, remedy

    def __reduce__(self) -> tuple[type[UnreadableImageError], tuple[str, str, str]]:
        return type(self), (self.name, self.reason, self.remedy)


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """Facts about an image, without its pixels.

    Attributes:
        width: Pixels, after the EXIF orientation was applied.
        height: Pixels, after the EXIF orientation was applied.
        size_bytes: Size of the encoded image.
        sha256: SHA-256 of the encoded image, hexadecimal.
        perceptual_hash: 64 bits, see :func:`perceptual_hash`.
        extension: The file extension of its format: ``".jpg"``.
        orientation: Its EXIF orientation, 1 to 8.
        reduced: The upright image, gray, at the scale at which it was decoded.
    """

    width: int
    height: int
    size_bytes: int
    sha256: str
    perceptual_hash: int
    extension: str
    orientation: int
    reduced: Image.Image = field(compare=False, repr=False)

    def thumbnail(self) -> NDArray[np.uint8]:
        """The upright image, gray, at most 128 pixels long: uint8 [h, w].

        Its size is fixed at any decoding scale, so that two encodings of one image can be compared.
        """
        scale = min(_THUMBNAIL / max(self.width, self.height), 1.0)
        size = max(round(self.width * scale), 1), max(round(self.height * scale), 1)
        return np.asarray(self.reduced.resize(size, Image.Resampling.BILINEAR))


def read_image(source: Path | bytes, max_pixels: int, setting: str = "data.max_pixels") -> Image.Image:
    """Decode an image for use.

    Args:
        source: A file, or the encoded bytes.
        max_pixels: Images with more pixels are rejected before they are decoded.
        setting: Name of that limit in messages.

    Returns:
        RGB, 8 bits per channel, upright according to its EXIF orientation, fully loaded.  An alpha channel is dropped;
        of an animation, the first frame is used.

    Raises:
        UnreadableImageError: A :class:`~sightline.errors.DataError`: the file is missing, truncated, corrupted, of
            another format than :data:`FORMATS`, too large, or has more than 8 bits per channel.
    """
    name = "the image" if isinstance(source, bytes) else str(source)
    content = source if isinstance(source, bytes) else read_bytes(source, max_pixels, setting)
    with _decoding(name):
        return _upright_rgb(_open(content, name, max_pixels, setting=setting))


def read_reduced(path: Path, max_pixels: int, longer_side: int) -> tuple[Image.Image, tuple[int, int]]:
    """Decode an image for use at a smaller size.

    A large JPEG is decoded at a half, a quarter or an eighth of its size, which takes less time and still processes
    every byte, so that damage is detected.

    Args:
        path: The file.
        max_pixels: Images with more pixels are rejected before they are decoded.
        longer_side: The image keeps at least this length of its longer side, unless it is smaller; pixels.

    Returns:
        The image as from :func:`read_image`, and width and height of the upright image at its full size.

    Raises:
        UnreadableImageError: As for :func:`read_image`.
    """
    content = read_bytes(path, max_pixels)
    with _decoding(str(path)):
        image = _open(content, str(path), max_pixels)
        width, height = image.size
        share = longer_side / max(width, height)
        image.draft(image.mode, (max(1, math.ceil(width * share)), max(1, math.ceil(height * share))))
        rgb = _upright_rgb(image)
        turned = _orientation(image) >= _FIRST_TURNED
        return rgb, (height, width) if turned else (width, height)


def _upright_rgb(image: Image.Image) -> Image.Image:
    image.load()
    orientation = _orientation(image)
    # Palettes with an alpha value per color can only be converted to RGB by way of RGBA.
    rgb = image.convert("RGBA").convert("RGB") if image.mode == "P" else image.convert("RGB")
    return rgb.transpose(TRANSPOSITIONS[orientation]) if orientation in TRANSPOSITIONS else rgb


def exif_orientation(content: bytes, max_pixels: int, name: str = "the image") -> int:
    """The EXIF orientation of an encoded image, 1 to 8; 1 if there is none.

    Raises:
        UnreadableImageError: As for :func:`read_image`.
    """
    with _decoding(name):
        return _orientation(_open(content, name, max_pixels))


def open_mask(content: bytes, max_pixels: int) -> NDArray[np.bool_]:
    """Decode a one-channel PNG to a mask of its nonzero pixels.

    Args:
        content: The encoded PNG.
        max_pixels: A PNG with more pixels is rejected before it is decoded.

    Returns:
        ``(height, width)`` bool.

    Raises:
        UnreadableImageError: It is not a PNG, is damaged, too large, or has several channels.
    """
    with _decoding("the mask", ("PNG",)):
        image = _open(content, "the mask", max_pixels, formats=("PNG",))
        image.load()
        if image.mode not in ("1", "L", "P"):
            raise UnreadableImageError("the mask", f"its mode is {image.mode}, not one channel", "draw the shape again")
        return np.asarray(image, dtype=np.bool_)


def read_bytes(path: Path, max_pixels: int, setting: str = "data.max_pixels") -> bytes:
    """Read an image file, but never more bytes than an image of ``max_pixels`` can need.

    Raises:
        UnreadableImageError: The file cannot be read, or is too large.
    """
    try:
        require_size(str(path), path.stat().st_size, max_pixels, setting)
        return path.read_bytes()
    except OSError as error:
        raise UnreadableImageError(
            str(path), f"the file cannot be read ({error.strerror or error})", "check that it exists and is readable"
        ) from error


def require_size(name: str, size_bytes: int, max_pixels: int, setting: str = "data.max_pixels") -> None:
    """Reject a file that is larger than an image of ``max_pixels`` can be, before it is read.

    Raises:
        UnreadableImageError: It is larger.
    """
    if size_bytes > _BYTES_A_PIXEL * max_pixels:
        raise UnreadableImageError(
            name,
            f"the file has {size_bytes:,} bytes, more than an image of {setting} = {max_pixels:,} can need",
            f"replace it, or raise {setting}",
        )


def image_facts(content: bytes, max_pixels: int, name: str = "the image") -> ImageFacts:
    """Describe an encoded image; it is decoded only once, JPEG at a reduced scale.

    The reduced scale (a feature of the JPEG decoder) still processes every byte, so truncation is detected.

    Args:
        content: The encoded image.
        max_pixels: Images with more pixels are rejected before they are decoded.
        name: Name of the image in the error message.

    Raises:
        UnreadableImageError: As for :func:`read_image`.
    """
    with _decoding(name):
        image = _open(content, name, max_pixels)
        extension = EXTENSIONS[str(image.format)]
        width, height = image.size
        image.draft("L", (2 * _GRID, 2 * _GRID))
        image.load()
        orientation = _orientation(image)
        reduced = image.convert("L")
        grey = reduced.resize((_GRID, _GRID), Image.Resampling.BILINEAR)
        if orientation in TRANSPOSITIONS:
            grey, reduced = (picture.transpose(TRANSPOSITIONS[orientation]) for picture in (grey, reduced))
            width, height = (height, width) if orientation >= _FIRST_TURNED else (width, height)
    digest, hashed = hashlib.sha256(content).hexdigest(), perceptual_hash(np.asarray(grey))
    return ImageFacts(width, height, len(content), digest, hashed, extension, orientation, reduced)


_THUMBNAIL = 128
_GRID = 32
_FREQUENCIES = 8
_POSITIONS = 2 * np.arange(_GRID) + 1
_COSINES = np.rint(
    4096 * np.cos(np.pi / (2 * _GRID) * np.outer(np.arange(1, _FREQUENCIES + 1), _POSITIONS)),
).astype(np.int64)
"""Rows 1 to 8 of the discrete cosine transform (type II) of 32 values, as integers: identical on every machine."""


def perceptual_hash(grey: NDArray[np.uint8]) -> int:
    """64 bits that hardly change when an image is re-encoded, resized or brightened.

    The method is pHash (C. Zauner, *Implementation and Benchmarking of Perceptual Image Hash Functions*, 2010, section
    3.2.1): the 8 x 8 lowest frequencies of the discrete cosine transform of a 32 x 32 gray image, without the
    constant row and column; each bit is 1 if the coefficient is above the median.

    Args:
        grey: ``(32, 32)`` uint8.

    Returns:
        An integer in ``[0, 2**64)``; the first bit is the lowest frequency.

    Example:
        >>> perceptual_hash(np.full((32, 32), 7, np.uint8))
        0
    """
    coefficients = (_COSINES @ grey.astype(np.int64) @ _COSINES.T).ravel()
    below, above = np.sort(coefficients)[31:33]
    bits = 2 * coefficients > below + above
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def _open(
    content: bytes, name: str, max_pixels: int, formats: tuple[str, ...] = FORMATS, setting: str = "data.max_pixels"
) -> Image.Image:
    if not content:
        raise UnreadableImageError(name, "it is empty", "replace it with an intact copy")
    if content.startswith(_LFS_POINTER):
        raise UnreadableImageError(name, "it is a Git LFS pointer, not the image", "fetch it with git lfs pull")
    scans = content.count(_SCAN)
    if scans > MAX_SCANS and content.startswith(b"\xff\xd8"):
        raise UnreadableImageError(
            name, f"it has {scans:,} scans, which take minutes to decode; a JPEG has about ten", "save it again"
        )
    image = Image.open(io.BytesIO(content), formats=formats)
    width, height = image.size
    if width * height > max_pixels:
        raise UnreadableImageError(
            name,
            f"it has {width} x {height} = {width * height:,} pixels, more than {setting} = {max_pixels:,}",
            f"make it smaller, or raise {setting}",
        )
    if image.mode.startswith(("I", "F")):
        raise UnreadableImageError(
            name,
            f"its pixels have more than 8 bits per channel (Pillow's mode {image.mode})",
            "convert it to 8 bits per channel",
        )
    # The size was checked: a decoder that gets more pixels now received an invalid header.
    if max_pixels <= (Image.MAX_IMAGE_PIXELS or 0):
        warnings.simplefilter("error", Image.DecompressionBombWarning)
    return image


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation of an image (Pillow applies that of TIFF while loading, and then reports 1)."""
    orientation = image.getexif().get(_ORIENTATION, 1)
    return orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1


@contextmanager
def _decoding(name: str, formats: tuple[str, ...] = FORMATS) -> Iterator[None]:
    """Convert Pillow's exceptions for broken bytes to one error; its warnings (odd metadata) do not concern pixels."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except UnreadableImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        limit = 2 * (Image.MAX_IMAGE_PIXELS or 0)
        raise UnreadableImageError(
            name,
            f"it is too large to decode: it declares more than {limit:,} pixels, which no setting allows",
            "make it smaller",
        ) from error
    except UnidentifiedImageError as error:
        raise UnreadableImageError(
            name, f"it is not a readable {either(*formats)} image", "convert or replace it"
        ) from error
    except _DECODER_ERRORS as error:
        raise UnreadableImageError(
            name, f"it is damaged ({error or type(error).__name__})", "replace it with an intact copy"
        ) from error
