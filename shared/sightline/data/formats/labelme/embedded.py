"""The image that a labelme file embeds as ``imageData``, and its comparison with the image file.

labelme decodes ``imageData`` without its EXIF orientation (Qt's ``QImage.fromData``), regardless of how it was
written: later versions rotate an image before embedding it, early versions embedded the unchanged bytes of the file.
Image files are shown rotated.  So the orientation is removed from an embedded image, and all programs show the image
that was labeled.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sightline.data.images import TRANSPOSITIONS, ImageFacts, exif_orientation, image_facts, read_image

_NAME = "imageData"

_INVERSE = {6: 8, 8: 6}
"""EXIF orientations whose inverse is another orientation; the others are their own inverse."""

_METADATA_CHUNKS = (b"eXIf", b"tEXt", b"zTXt", b"iTXt")
"""PNG chunks with EXIF, and with texts, which may contain EXIF or XMP."""

_LARGEST_MEAN, _LARGEST, _MOST_CELLS = 4.0, 40.0, 0.002
"""Two encodings of one picture differ by at most this much: mean of gray levels; gray levels in nearly all cells of
their thumbnails; fraction of the other cells.  JPEG at labelme's quality, 75, stays below half of it."""

_TURNS = {
    2: "mirrored",
    3: "turned by 180 degrees",
    4: "mirrored and turned by 180 degrees",
    5: "mirrored and turned by 90 degrees",
    6: "turned by 90 degrees",
    7: "mirrored and turned by 90 degrees",
    8: "turned by 90 degrees",
}


@dataclass(frozen=True, slots=True)
class EmbeddedImage:
    """An embedded image.

    Attributes:
        content: The encoded image, without an EXIF orientation.
        facts: Facts about ``content``.
        orientation: The EXIF orientation that was removed, 1 to 8.
    """

    content: bytes
    facts: ImageFacts
    orientation: int


def read_embedded(image_data: bytes, max_pixels: int) -> EmbeddedImage:
    """Remove the EXIF orientation of an embedded image, and describe the result.

    Raises:
        UnreadableImageError: As for :func:`sightline.data.images.read_image`.
    """
    orientation = exif_orientation(image_data, max_pixels, _NAME)
    content = image_data if orientation == 1 else without_orientation(image_data, orientation, max_pixels)
    return EmbeddedImage(content, image_facts(content, max_pixels, _NAME), orientation)


def without_orientation(content: bytes, orientation: int, max_pixels: int) -> bytes:
    """An encoded image with the same stored pixels and no EXIF orientation.

    The metadata segments of JPEG and PNG are removed, so that the encoded pixels do not change; other formats become
    PNG.

    Args:
        content: The encoded image.
        orientation: Its EXIF orientation, 2 to 8.
        max_pixels: Images with more pixels are rejected.
    """
    parts = _jpeg_parts if content.startswith(b"\xff\xd8") else _png_parts if content.startswith(b"\x89PNG") else None
    if parts is not None:
        bare = b"".join(parts(content))
        if exif_orientation(bare, max_pixels, _NAME) == 1:
            return bare
    stored = read_image(content, max_pixels).transpose(TRANSPOSITIONS[_INVERSE.get(orientation, orientation)])
    stream = io.BytesIO()
    stored.save(stream, "PNG")
    return stream.getvalue()


def disagreement(embedded: EmbeddedImage, file: ImageFacts, name: str) -> str | None:
    """How an embedded image visibly differs from the image file; None if both show the same picture.

    Args:
        embedded: The image that labelme shows.
        file: The image file.
        name: Its name for the text.
    """
    shown = embedded.facts
    turned = _turn(embedded, file)
    if turned == 1:
        if (shown.width, shown.height) == (file.width, file.height):
            return (
                None
                if _alike(shown.thumbnail(), file.thumbnail())
                else f"imageData shows a different picture than {name}"
            )
        return f"imageData has {shown.width} x {shown.height} pixels, but image {name} has {file.width} x {file.height}"
    if turned == _INVERSE.get(file.orientation, file.orientation):
        return f"imageData shows image {name} without its EXIF orientation ({file.orientation})"
    return f"imageData shows image {name} {_TURNS[turned]}"


def _turn(embedded: EmbeddedImage, file: ImageFacts) -> int:
    """The EXIF orientation that turns the file's picture into the embedded one, if one is clearly the best; else 1.

    An orientation of 1 needs no evidence: in doubt the embedded image is correct.
    """
    unturned = _INVERSE.get(file.orientation, file.orientation)
    if embedded.orientation == file.orientation != 1:
        return unturned
    shown, thumbnail = embedded.facts.thumbnail(), file.thumbnail()
    picture = Image.fromarray(thumbnail)
    distances = {1: _distance(shown, thumbnail)}
    for orientation, transposition in TRANSPOSITIONS.items():
        distances[orientation] = _distance(shown, np.asarray(picture.transpose(transposition)))
    best = min(distances, key=lambda orientation: distances[orientation])
    clearly = best == unturned or 2 * distances[best] + 0.05 < distances[1]
    return best if clearly and distances[best] <= _LARGEST_MEAN else 1


def _distance(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    return float(np.abs(one.astype(np.int16) - other).mean()) if one.shape == other.shape else np.inf


def _alike(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> bool:
    if one.shape != other.shape:
        return False
    levels = np.abs(one.astype(np.int16) - other)
    return bool(levels.mean() <= _LARGEST_MEAN and (levels > _LARGEST).mean() <= _MOST_CELLS)


def _jpeg_parts(content: bytes) -> Iterator[bytes]:
    """The segments of a JPEG without EXIF and XMP (APP1) and the index of further pictures (MPF in APP2)."""
    yield content[:2]
    place = 2
    while content[place : place + 1] == b"\xff" and content[place + 1] != 0xDA:
        end = place + 2 + int.from_bytes(content[place + 2 : place + 4], "big")
        segment = content[place:end]
        if segment[1] != 0xE1 and not (segment[1] == 0xE2 and segment[4:8] == b"MPF\0"):
            yield segment
        place = end
    yield content[place:]


def _png_parts(content: bytes) -> Iterator[bytes]:
    """The chunks of a PNG without those of :data:`_METADATA_CHUNKS`."""
    yield content[:8]
    place = 8
    while place < len(content):
        end = place + 12 + int.from_bytes(content[place : place + 4], "big")
        if content[place + 4 : place + 8] not in _METADATA_CHUNKS:
            yield content[place:end]
        place = end
