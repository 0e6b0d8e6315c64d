"""The page of ``sightline data preview``: images of a training set before and after random changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from sightline.report.page import write_page

LONGEST_SIDE = 480
"""Pixels of a drawn image in the page."""


@dataclass(frozen=True, slots=True)
class PreviewRow:
    """One image of the training set.

    Attributes:
        title: The path of the image.
        before: The image with its objects, at the size of the network's input.
        after: Samples of it.
    """

    title: str
    before: Image.Image
    after: Sequence[Image.Image]


@dataclass(frozen=True, slots=True)
class AugmentationPreview:
    """The contents of the page.

    Attributes:
        source: The dataset tag or folder.
        recipe: Name of the recipe.
        images: Number of images in the training set.
        image_size: Longer side of the network's input, pixels.
        changes: Name, probability and other settings of each augmentation, in their order.
        rows: The images.
        notes: Remarks for the reader.
    """

    source: str
    recipe: str
    images: int
    image_size: int
    changes: Sequence[tuple[str, float, str]]
    rows: Sequence[PreviewRow]
    notes: Sequence[str] = ()


def write_preview(path: Path, preview: AugmentationPreview) -> None:
    """Write the page as one HTML file that opens offline; parent folders are created.

    Args:
        path: The HTML file; replaced as a whole.
        preview: The contents.
    """
    write_page(path, "augmentation_preview.html", preview=preview, longest=LONGEST_SIDE)
