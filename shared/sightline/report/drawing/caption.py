"""Draws lines of text below an image, each with a colored mark, for what concerns the whole image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from sightline.report.drawing.draw import Colour
from sightline.report.drawing.lettering import Lettering

_SHORT_SIDE = 320
"""Images with a longer side below this many pixels are enlarged by a whole factor, so that the text is readable."""
_BACKGROUND: Colour = (24, 24, 27)
_INK: Colour = (244, 244, 245)


@dataclass(frozen=True, slots=True)
class CaptionLine:
    """One line below an image.

    Attributes:
        text: Printable text; it is shortened if it is too wide.
        colour: RGB of the mark in front of it; None: no mark.
    """

    text: str
    colour: Colour | None = None


def draw_caption(image: Image.Image, lines: Sequence[CaptionLine]) -> Image.Image:
    """A copy of an image with a strip of text below it.

    Args:
        image: Any mode and size; it is not changed.
        lines: From top to bottom.

    Returns:
        RGB; images with a longer side below 320 pixels are enlarged.
    """
    scale = max(1, -(-_SHORT_SIDE // max(image.size)))
    picture = image.convert("RGB")
    if scale > 1:
        picture = picture.resize((image.width * scale, image.height * scale), Image.Resampling.BICUBIC)
    size = max(12, round(max(picture.size) / 28))
    height = round(1.5 * size)
    canvas = Image.new("RGB", (picture.width, picture.height + height * len(lines)), _BACKGROUND)
    canvas.paste(picture)
    pen, letters = ImageDraw.Draw(canvas), Lettering(size)
    margin = size // 3
    for place, line in enumerate(lines):
        top = picture.height + place * height
        if line.colour is not None:
            pen.rectangle((margin, top + margin, margin + size // 2, top + height - margin), fill=line.colour)
        left = margin + size if line.colour is not None else margin
        letters.write(pen, left, top + height / 2, letters.fitted(line.text, picture.width - left - margin), _INK)
    return canvas
