"""A training set: the files that record publishes below ``training/<dataset>/``.

``train.json``, ``val.json`` and ``test.json`` are COCO documents, ``images/`` contains the images that were embedded in
annotation files, and ``dataset.json`` contains all other information.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from sightline.config.data import Data
from sightline.data.annotations import Annotations, LabelledImage, SplitName
from sightline.data.formats.coco import CocoDocument, coco_bytes
from sightline.data.recording.filling import SPLITS
from sightline.data.recording.fold_assignment import FoldImage, assign_folds
from sightline.data.recording.merge import file_name, merge
from sightline.data.recording.split import (
    Assignment,
    EarlierImage,
    SplitImage,
    assign_splits,
    check_leaks,
    tying_distance,
)
from sightline.documents import DocumentError, DocumentKind
from sightline.errors import DataError
from sightline.plural import counted

FEW_IMAGES = 20
BRIDGES = "bridges_splits"
"""The key in ``dropped`` for images that would have connected images of two splits."""


@dataclass(frozen=True, slots=True)
class RecordedImage:
    """One image of a training set.

    Attributes:
        file_name: As in COCO.
        sha256: SHA-256 of the file, hexadecimal.
        perceptual_hash: 16 hexadecimal digits.
        split: ``train``, ``val`` or ``test``.
        group: The group of the image.
        tied: The smallest sha256 of the images that must be in the same split.
        width: Pixels, upright.
        height: Pixels, upright.
        size_bytes: Size of the file.
        labels: Digest of its instances; it changes if the image is relabeled.
        fold: Its fold for cross-validation, from 1; 0 in the test split, or without folds.
    """

    file_name: str
    sha256: str
    perceptual_hash: str
    split: SplitName
    group: str
    tied: str
    width: int
    height: int
    size_bytes: int
    labels: str
    fold: int = 0


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """The contents of ``dataset.json``.

    Attributes:
        dataset: Name of the dataset.
        version: Such as ``v1``.
        annotation_tag: The annotation tag that it was created from.
        annotation_commit: The commit of that tag.
        configuration_digest: Digest of the configuration that it was created with.
        configuration: The part of the configuration that record depends on.
        classes: Class names in the order of the category ids.
        earlier: The training tags whose splits were kept, oldest first.
        images: The images in the order of their COCO ids.
        instances: Number of instances per split and class.
        showing: Number of images per split and class.
        dropped: Number of shapes and images that were left out or clipped, by kind of fault.
        ignored: Number of shapes with an ignored label.
        left_out: Class -> kind of fault -> number of shapes of the class that were left out.
        faults: All faults of the annotations, as text.
        warnings: Warnings for users before training.
    """

    dataset: str
    version: str
    annotation_tag: str
    annotation_commit: str
    configuration_digest: str
    configuration: dict[str, Any]
    classes: list[str]
    earlier: list[str]
    images: list[RecordedImage]
    instances: dict[str, dict[str, int]]
    showing: dict[str, dict[str, int]]
    dropped: dict[str, int]
    ignored: int
    faults: list[str]
    warnings: list[str] = field(default_factory=list)
    left_out: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def images_per_split(self) -> dict[str, int]:
        """Number of images per split."""
        counts = Counter(image.split for image in self.images)
        return {split: counts[split] for split in SPLITS}


TRAINING_SET = DocumentKind("training set", TrainingSet)


@dataclass(frozen=True, slots=True)
class Origin:
    """The source of a training set; the attributes are those of :class:`TrainingSet`."""

    dataset: str
    version: str
    annotation_tag: str
    annotation_commit: str
    configuration_digest: str
    configuration: dict[str, Any]
    earlier: list[str]


def build_training_set(
    annotations: Annotations, earlier: Sequence[EarlierImage], origin: Origin, data: Data
) -> tuple[TrainingSet, dict[SplitName, CocoDocument], list[LabelledImage]]:
    """Split the images and merge them into COCO documents.

    Args:
        annotations: The annotations; no fault stops record.
        earlier: The images of earlier versions with their splits.
        origin: The source of the data.
        data: Classes, fractions, and rules for related images.

    Returns:
        The training set, its documents, and the images in them.

    Raises:
        DataError: There are no images, or too few for the splits.
    """
    if not annotations.images:
        raise DataError(f"{origin.annotation_tag} contains no usable labeled image; add images with sightline data add")
    _require_measurable(data)
    candidates = [_split_image(image) for image in annotations.images]
    distance = tying_distance(data)
    given = [image.split if data.given_splits else None for image in annotations.images]
    assignment = assign_splits(candidates, earlier, data.splits, distance, given)
    folds = _folds(annotations.images, assignment, earlier, data)
    kept = [(index, split) for index, split in enumerate(assignment.splits) if split is not None]
    images, splits = [annotations.images[index] for index, _ in kept], [split for _, split in kept]
    check_leaks([candidates[index] for index, _ in kept], splits, distance)
    documents = merge(images, splits, data, origin.dataset)
    instances, showing = _counts(images, splits, data.classes)
    _require_objects(instances, origin.annotation_tag)
    dropped = dict(sorted(annotations.dropped.items()))
    if len(kept) < len(candidates):
        dropped[BRIDGES] = len(candidates) - len(kept)
    training_set = TrainingSet(
        **{name: getattr(origin, name) for name in Origin.__slots__},
        classes=list(data.classes),
        images=[
            dataclasses.replace(_recorded(image, split, origin.dataset, assignment.groups[index]), fold=folds[index])
            for image, split, (index, _) in zip(images, splits, kept, strict=True)
        ],
        instances=instances,
        showing=showing,
        dropped=dropped,
        ignored=annotations.ignored,
        left_out=annotations.left_out,
        faults=[str(fault) for fault in annotations.faults],
    )
    warnings = warnings_of(training_set) + ([assignment.alike] if assignment.alike else [])
    return dataclasses.replace(training_set, warnings=warnings), documents, images


def write_training_set(
    folder: Path,
    training_set: TrainingSet,
    documents: Mapping[SplitName, CocoDocument],
    images: Sequence[LabelledImage],
) -> None:
    """Write the files of a training set; equal sets give equal bytes."""
    folder.mkdir(parents=True)
    for split, document in documents.items():
        (folder / f"{split}.json").write_bytes(coco_bytes(document))
    (folder / "dataset.json").write_bytes(to_bytes(training_set))
    for image in images:
        if image.embedded is not None:
            path = folder / PurePosixPath(image.image)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(image.embedded)


def to_bytes(training_set: TrainingSet) -> bytes:
    """``dataset.json``."""
    document = TRAINING_SET.encode(training_set)
    for image in document["images"]:
        if not image["fold"]:
            del image["fold"]  # as earlier releases wrote it
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def from_bytes(data: bytes, where: str) -> TrainingSet:
    """Decode ``dataset.json``.

    Raises:
        DataError: It was written by a later version of Sightline, or edited by hand.
    """
    try:
        stored = TRAINING_SET.decode(data)
    except DocumentError as error:
        remedy = error.remedy("add the annotations as a new version and record that")
        raise DataError(f"{where} cannot be read ({error}); {remedy}") from error
    ordered = {
        name: {split: counts[split] for split in SPLITS if split in counts}
        for name, counts in (("instances", stored.instances), ("showing", stored.showing))
    }
    return dataclasses.replace(stored, **ordered)  # type: ignore[arg-type]


def warnings_of(training_set: TrainingSet) -> list[str]:
    """Warnings about the training set."""
    images, instances = training_set.images_per_split, training_set.instances
    warnings = []
    if len(training_set.images) < FEW_IMAGES:
        warnings.append(
            f"too little data: {counted(len(training_set.images), 'image')}; metrics mean little with fewer than "
            f"{FEW_IMAGES}"
        )
    absent = [name for name in training_set.classes if not any(instances[split][name] for split in SPLITS)]
    if absent:
        warnings.append(f"classes without labels: {', '.join(absent)}")
    for split in ("train", "val"):
        lacking = [name for name in training_set.classes if name not in absent and not instances[split][name]]
        if lacking:
            warnings.append(f"classes without labels in {split}: {', '.join(lacking)}")
    if not images["test"]:
        warnings.append(
            "the test split is empty: the selected models will not be tested; give images to it, or set "
            "data.splits.test above 0, with data.given_splits=off if the files give splits without test"
        )
    bridging = training_set.dropped.get(BRIDGES, 0)
    if bridging:
        warnings.append(f"images left out because they are similar to images in two splits: {bridging}")
    return warnings + [
        f"objects left out: {line}" for line in left_out_lines(training_set.left_out, training_set.classes)
    ]


def left_out_lines(left_out: Mapping[str, Mapping[str, int]], classes: Sequence[str]) -> list[str]:
    """One line per class with the number of shapes left out and the reasons, most first."""
    order = {name: place for place, name in enumerate(classes)}
    totals = {name: sum(kinds.values()) for name, kinds in left_out.items()}
    lines = []
    for name in sorted(totals, key=lambda name: (-totals[name], order.get(name, len(order)), name)):
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in left_out[name].items())
        shown = name if name.isprintable() else repr(name)
        lines.append(f"{counted(totals[name], 'shape')} of class {shown} ({kinds})")
    return lines


def _require_measurable(data: Data) -> None:
    for split, purpose in (("train", "train"), ("val", "choose")):
        if not getattr(data.splits, split):
            raise DataError(
                f"data.splits.{split} is 0, but {split} images are needed to {purpose} a model; set it to 0.15 or more"
            )


def _require_objects(instances: Mapping[str, Mapping[str, int]], tag: str) -> None:
    for split, purpose in (("train", "learn"), ("val", "measure")):
        if not any(instances[split].values()):
            raise DataError(
                f"{tag}: no image of {split} has a label of data.classes, so there is nothing to {purpose}; "
                "label more images (sightline check FOLDER counts the labels) and add them as a new version"
            )


def _split_image(image: LabelledImage) -> SplitImage:
    return SplitImage(image.sha256, image.perceptual_hash, image.group, frozenset(image.classes), image.image)


def _folds(
    images: Sequence[LabelledImage], assignment: Assignment, earlier: Sequence[EarlierImage], data: Data
) -> dict[int, int]:
    """The fold of each image by its index; 0 for images outside train and val, or if there are no folds."""
    folds = dict.fromkeys(range(len(images)), 0)
    members = [index for index, split in enumerate(assignment.splits) if split in ("train", "val") and data.folds]
    facts = [FoldImage(images[index].sha256, assignment.groups[index], images[index].classes) for index in members]
    known = {entry.image.sha256: entry.fold for entry in earlier if entry.folds == data.folds and entry.fold}
    return folds | dict(zip(members, assign_folds(facts, data.folds, known) if facts else [], strict=True))


def _recorded(image: LabelledImage, split: SplitName, dataset: str, tied: str) -> RecordedImage:
    instances: list[list[object]] = [
        [instance.label, instance.segmentation, instance.bbox, *([] if (k := instance.keypoints) is None else [k])]
        for instance in image.instances
    ]
    instances += [[label] for label in image.labels]
    return RecordedImage(
        file_name(dataset, image),
        image.sha256,
        f"{image.perceptual_hash:016x}",
        split,
        image.group,
        tied,
        image.width,
        image.height,
        image.size_bytes,
        hashlib.sha256(json.dumps(instances, sort_keys=True).encode()).hexdigest()[:16],
    )


def _counts(
    images: Sequence[LabelledImage], splits: Sequence[SplitName], classes: Sequence[str]
) -> tuple[dict[str, dict[str, int]], dict[str, dict[str, int]]]:
    """Instances, and images that show any, by split and class."""
    instances: dict[str, dict[str, int]] = {split: dict.fromkeys(classes, 0) for split in SPLITS}
    showing: dict[str, dict[str, int]] = {split: dict.fromkeys(classes, 0) for split in SPLITS}
    for image, split in zip(images, splits, strict=True):
        for name, count in Counter(image.classes).items():
            instances[split][name] += count
            showing[split][name] += 1
    return instances, showing
