"""Labeled images in memory: the labelme reader produces them, and record merges them into COCO."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from sightline.data.formats.coco import Segmentation

FaultKind = Literal[
    "unknown_label",
    "outside_image",
    "not_finite",
    "zero_area",
    "duplicate_shape",
    "unsupported_shape",
    "unknown_shape",
    "wrong_image_size",
    "missing_image",
    "embedded_differs",
    "broken_image",
    "broken_json",
    "unsafe_path",
    "duplicate_image",
]
"""Each kind is a field of :class:`sightline.config.schema.Faults`, which says what becomes of it."""

FAULT_KINDS: tuple[FaultKind, ...] = get_args(FaultKind)


@dataclass(frozen=True, slots=True)
class Fault:
    """One problem in an annotation file.

    Attributes:
        kind: Its kind, which the policy goes by.
        file: Path of the JSON file (or image) relative to the folder that is read, POSIX.
        shape: Index of the shape in the file, from 0; None where the whole file is meant.
        label: The shape's label, where there is one.
        reason: What is wrong, with the value.
        remedy: What to do about it.
    """

    kind: FaultKind
    file: str
    shape: int | None
    label: str | None
    reason: str
    remedy: str

    def __str__(self) -> str:
        where = self.file if self.shape is None else f"{self.file}: shape {self.shape}"
        label = f" ({self.label!r})" if self.label else ""
        return f"{where}{label}: {self.reason}; {self.remedy}"


@dataclass(frozen=True, slots=True)
class Instance:
    """One labeled object: one shape, or all shapes of one label and ``group_id`` joined.

    Attributes:
        label: Class name.
        segmentation: Polygons in pixels or a run-length encoding, in the orientation of the image as a person sees it.
        bbox: ``(x, y, width, height)`` in pixels: the extent of the outline, or of a mask's pixels, within the image.
        area: Pixels covered, by COCO's run lengths.
    """

    label: str
    segmentation: Segmentation
    bbox: tuple[float, float, float, float]
    area: float


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """One image with its instances.

    Attributes:
        file: Path of the JSON file relative to the folder that is read, POSIX.
        image: Path of the image file relative to that folder, POSIX; for an image embedded in the JSON, the path that
            record gives it below the training set's folder: ``images/`` and the JSON's path with the extension that
            fits the image's contents.
        embedded: The image's bytes when it stood in the JSON and not beside it.
        width: Pixels, after the EXIF orientation was applied.
        height: Pixels, after the EXIF orientation was applied.
        size_bytes: Of the image file.
        sha256: Of the image file's bytes, hexadecimal.
        perceptual_hash: 64 bits; near-duplicates differ in few of them.
        group: Images with one group stay in one split: the JSON's top-level ``group``, or what
            ``data.group_pattern`` finds in the path, or the image's own sha256.
        flags: Image-level flags that are true.
        instances: What is labelled.
    """

    file: str
    image: str
    embedded: bytes | None
    width: int
    height: int
    size_bytes: int
    sha256: str
    perceptual_hash: int
    group: str
    flags: tuple[str, ...]
    instances: tuple[Instance, ...]


@dataclass(frozen=True, slots=True)
class Annotations:
    """A folder of labelled images after the fault policies were applied.

    Attributes:
        images: In the order of their paths.
        faults: Everything that is wrong, file by file, whatever the policy says about it.
        dropped: How many shapes or images each kind of fault left out, or mended by ``clip``; kinds without any are
            absent.
        ignored: How many shapes carried a label of ``data.ignored_labels``.
        files: How many JSON files were read.
        left_out: Class -> kind of fault -> how many shapes of the class it left out; for the network they are
            background.  A duplicate is not counted, for its object is there once.
        labels: How many shapes carry each label, before any policy was applied.
        unlabelled_images: How many image files of the folder no JSON file names; they are no part of the dataset.
    """

    images: list[LabelledImage]
    faults: list[Fault]
    dropped: dict[str, int] = field(default_factory=dict)
    ignored: int = 0
    left_out: dict[str, dict[str, int]] = field(default_factory=dict)
    files: int = 0
    labels: dict[str, int] = field(default_factory=dict)
    unlabelled_images: int = 0
