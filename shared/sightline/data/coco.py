"""The COCO document: what record writes, and everything after it reads."""

from __future__ import annotations

from typing import NotRequired, TypedDict


class RunLengthEncoding(TypedDict):
    """A mask as pycocotools' compressed run-length encoding.

    Attributes:
        size: ``[height, width]`` in pixels.
        counts: The encoded runs, column by column, as ASCII text.
    """

    size: list[int]
    counts: str


Segmentation = list[list[float]] | RunLengthEncoding
"""Polygons ``[[x1, y1, x2, y2, ...], ...]`` in pixels, floats kept, or a run-length encoding."""


class CocoImage(TypedDict):
    """One image.

    Attributes:
        id: From 1 on, unique.
        file_name: POSIX path relative to the root of the data repository's checkout.
        width: Pixels, after the EXIF orientation was applied.
        height: Pixels, after the EXIF orientation was applied.
        sha256: Of the file's bytes, hexadecimal.
        group: Images with one group stay in one split.
    """

    id: int
    file_name: str
    width: int
    height: int
    sha256: str
    group: str


class CocoAnnotation(TypedDict):
    """One instance.

    Attributes:
        id: From 1 on, unique in the document.
        image_id: The image's ``id``.
        category_id: The category's ``id``.
        bbox: ``[x, y, width, height]`` in pixels.
        area: Pixels covered by the mask.
        segmentation: The outline or mask.
        iscrowd: Always 0.
    """

    id: int
    image_id: int
    category_id: int
    bbox: list[float]
    area: float
    segmentation: Segmentation
    iscrowd: int


class CocoCategory(TypedDict):
    """One class: ``id`` from 1 on in the configuration's order, and its name."""

    id: int
    name: str


class CocoDocument(TypedDict):
    """One split of one dataset version."""

    images: list[CocoImage]
    annotations: list[CocoAnnotation]
    categories: list[CocoCategory]
    info: NotRequired[dict[str, str]]
