"""Labeled images in memory, created by the readers of annotation formats and merged into COCO by record."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from sightline.config.labels import Keypoints
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
    "missing_label",
    "several_labels",
    "bad_keypoint",
    "crowd",
    "broken_row",
]
"""Each kind is a field of :class:`sightline.config.data.Faults`, which determines how it is handled."""

Keypoint = tuple[float, float, int]
"""x and y in pixels, and visibility: 0 absent (at 0, 0), 1 labeled but hidden, 2 visible."""

SplitName = Literal["train", "val", "test"]

FAULT_KINDS: tuple[FaultKind, ...] = get_args(FaultKind)


@dataclass(frozen=True, slots=True)
class Fault:
    """One problem in an annotation file.

    Attributes:
        kind: Its kind, which determines the policy.
        file: Path of the JSON file (or image) relative to the annotation folder, POSIX.
        shape: Index of the shape in the file, from 0; None if the fault concerns the whole file.
        label: The shape's label, if there is one.
        reason: What is wrong, with the value.
        remedy: How to fix it.
        entry: Place in a file without shapes, such as ``line 12`` or ``annotation 7``; empty if it concerns the whole
            file.
    """

    kind: FaultKind
    file: str
    shape: int | None
    label: str | None
    reason: str
    remedy: str
    entry: str = ""

    def __str__(self) -> str:
        where = f"{self.file}: {self.place}" if self.place else self.file
        label = f" ({self.label!r})" if self.label else ""
        return f"{where}{label}: {self.reason}; {self.remedy}"

    @property
    def place(self) -> str:
        """The place in the file, such as ``shape 3``; empty if the fault concerns the whole file."""
        return self.entry if self.shape is None else f"shape {self.shape}"


@dataclass(frozen=True, slots=True)
class Instance:
    """One labeled object: one shape, or all shapes of one label and ``group_id`` joined.

    Attributes:
        label: Class name.
        segmentation: Polygons in pixels or a run-length encoding, in coordinates of the upright image.
        bbox: ``(x, y, width, height)`` in pixels: the extent of the outline, or of a mask's pixels, within the image.
        area: Pixels covered, by COCO's run lengths.
        keypoints: All keypoints in the order of ``data.keypoints.names``, or None if the dataset has none.
        shapes: Indices of its shapes in the labelme file, without keypoints; empty for other formats.
        flags: Flags that are true of any of these shapes, sorted.
    """

    label: str
    segmentation: Segmentation
    bbox: tuple[float, float, float, float]
    area: float
    keypoints: tuple[Keypoint, ...] | None = None
    shapes: tuple[int, ...] = field(default=(), compare=False)
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """One image with its instances.

    Attributes:
        file: Path of the annotation file relative to the annotation folder, POSIX; that of the image if its folder
            is the label.
        image: Path of the image file relative to that folder, POSIX; for an image embedded in the JSON, its path in the
            training set's folder after extraction: ``images/`` and the JSON's path with the extension of the image's
            format.
        embedded: The image's bytes if it was embedded in the JSON file.
        width: Pixels, after the EXIF orientation was applied.
        height: Pixels, after the EXIF orientation was applied.
        size_bytes: Size of the image file.
        sha256: SHA-256 of the image file, hexadecimal.
        perceptual_hash: 64 bits; near-duplicates differ in few of them.
        group: Images with the same group stay in one split: the JSON's top-level ``group``, or what
            ``data.group_pattern`` finds in the path, or the image's own sha256.
        flags: Image-level flags that are true.
        instances: The labeled objects.
        labels: The classes of the whole image, in the order of ``data.classes``, if the dataset has label sets.
        split: The split that the annotations give the image; None if they give none.
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
    labels: tuple[str, ...] = ()
    split: SplitName | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes of its objects, one for each, and of the whole image."""
        return (*(instance.label for instance in self.instances), *self.labels)


@dataclass(frozen=True, slots=True)
class Annotations:
    """The labeled images of a folder after the fault policies were applied.

    Attributes:
        images: Sorted by path.
        faults: All faults, file by file, regardless of their policies.
        dropped: Number of shapes or images that were left out or clipped, by kind of fault; kinds with a count of 0 are
            absent.
        ignored: Number of shapes with a label of ``data.ignored_labels``.
        files: Number of annotation files that were read; 0 if folders are the labels.
        left_out: Class -> kind of fault -> number of shapes of the class that were left out; the network sees them as
            background.  Duplicates are not counted, because the object is still present once.
        labels: Number of shapes with each label, before any policy was applied.
        unlabelled_images: Number of image files in the folder without annotations; they are not part of the dataset.
        format: Name of their format.
        label_sets: Labels of whole images before any policy was applied: label set -> name -> number of images.
        keypoints: The keypoints that the annotations declare, whatever is configured.
        unused_columns: Columns of a table that are no label set -> number of different values.
        declared_classes: The classes of objects in the order in which the annotations list them; empty if they do not.
    """

    images: list[LabelledImage]
    faults: list[Fault]
    dropped: dict[str, int] = field(default_factory=dict)
    ignored: int = 0
    left_out: dict[str, dict[str, int]] = field(default_factory=dict)
    files: int = 0
    labels: dict[str, int] = field(default_factory=dict)
    unlabelled_images: int = 0
    format: str = "labelme"
    label_sets: dict[str, dict[str, int]] = field(default_factory=dict)
    keypoints: Keypoints = field(default_factory=Keypoints)
    unused_columns: dict[str, int] = field(default_factory=dict)
    declared_classes: tuple[str, ...] = ()
