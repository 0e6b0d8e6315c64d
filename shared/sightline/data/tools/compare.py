"""Compares two versions of a dataset image by image: added, removed, relabeled, replaced and moved images."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sightline.data.annotations import Annotations, Keypoint, SplitName
from sightline.data.formats.coco import CocoDocument, Segmentation, read_coco
from sightline.data.recording.filling import SPLITS


@dataclass(frozen=True, slots=True)
class ComparedObject:
    """One object.

    Attributes:
        label: Its class.
        segmentation: Its outline or mask.
        bbox: ``(x, y, width, height)`` in pixels.
        keypoints: Its keypoints, if the dataset has them.
    """

    label: str
    segmentation: Segmentation
    bbox: tuple[float, float, float, float]
    keypoints: tuple[Keypoint, ...] = ()

    @property
    def key(self) -> str:
        """Equal for equal objects."""
        return json.dumps([self.label, self.segmentation, self.keypoints], sort_keys=True)


@dataclass(frozen=True, slots=True)
class ComparedImage:
    """One image of one version.

    Attributes:
        name: Its path in the version.
        source: The file, or its bytes if it is embedded in its annotation.
        sha256: SHA-256 of the image.
        objects: Its objects.
        labels: Its labels.
        split: Its split; None if it has none.
    """

    name: str
    source: Path | bytes
    sha256: str
    objects: tuple[ComparedObject, ...] = ()
    labels: tuple[str, ...] = ()
    split: SplitName | None = None


@dataclass(frozen=True, slots=True)
class ChangedImage:
    """An image that differs; only what differs of its objects.

    Attributes:
        before: The image in the first version; None if it was added.
        after: The image in the second version; None if it was removed.
        gone: Objects that only the first version has.
        new: Objects that only the second version has.
        kept: Number of objects that both have.
    """

    before: ComparedImage | None
    after: ComparedImage | None
    gone: tuple[ComparedObject, ...] = ()
    new: tuple[ComparedObject, ...] = ()
    kept: int = 0


@dataclass
class Comparison:
    """The differences of two versions; an image is in one list only, except that a moved one may also be relabeled.

    Attributes:
        before: Number of images in the first version.
        after: Number of images in the second version.
        added: Images that only the second version has.
        removed: Images that only the first version has.
        relabelled: Images with other objects or labels.
        replaced: Images with other pixels and the same annotations.
        moved: Images with another path or split.
    """

    before: int
    after: int
    added: list[ChangedImage] = field(default_factory=list)
    removed: list[ChangedImage] = field(default_factory=list)
    relabelled: list[ChangedImage] = field(default_factory=list)
    replaced: list[ChangedImage] = field(default_factory=list)
    moved: list[ChangedImage] = field(default_factory=list)


def compare_images(before: Sequence[ComparedImage], after: Sequence[ComparedImage]) -> Comparison:
    """Compare two versions.

    An image that has another path, but the same bytes, was moved.

    Args:
        before: The images of the first version, with distinct names.
        after: The images of the second version, with distinct names.
    """
    old, new = {image.name: image for image in before}, {image.name: image for image in after}
    pairs = _pairs(old, new)
    comparison = Comparison(len(old), len(new))
    partners = {one.name for one, _ in pairs}, {other.name for _, other in pairs}
    comparison.removed = [_changed(image, None) for name, image in sorted(old.items()) if name not in partners[0]]
    comparison.added = [_changed(None, image) for name, image in sorted(new.items()) if name not in partners[1]]
    for one, other in pairs:
        changed = _changed(one, other)
        if one.name != other.name or one.split != other.split:
            comparison.moved.append(changed)
        if changed.gone or changed.new or one.labels != other.labels:
            comparison.relabelled.append(changed)
        elif one.sha256 != other.sha256:
            comparison.replaced.append(changed)
    return comparison


def images_of_annotations(root: Path, annotations: Annotations) -> list[ComparedImage]:
    """The images of a folder of annotations."""
    return [
        ComparedImage(
            image.image,
            root / image.image if image.embedded is None else image.embedded,
            image.sha256,
            tuple(
                ComparedObject(one.label, one.segmentation, one.bbox, one.keypoints or ()) for one in image.instances
            ),
            image.labels,
            image.split,
        )
        for image in annotations.images
    ]


def images_of_training_set(root: Path, folder: Path) -> list[ComparedImage]:
    """The images of a checkout of a training tag.

    Args:
        root: The checkout.
        folder: The folder with ``train.json``, ``val.json`` and ``test.json``.

    Raises:
        DataError: A COCO document cannot be read.
    """
    documents = {split: folder / f"{split}.json" for split in SPLITS}
    return [image for split, path in documents.items() for image in _images_of_document(root, read_coco(path), split)]


def _images_of_document(root: Path, document: CocoDocument, split: SplitName) -> list[ComparedImage]:
    names = {category["id"]: category["name"] for category in document["categories"]}
    objects: dict[int, list[ComparedObject]] = {image["id"]: [] for image in document["images"]}
    for one in document["annotations"]:
        x, y, width, height = one["bbox"]
        values = one.get("keypoints", [])
        keypoints = tuple((a, b, int(c)) for a, b, c in zip(values[::3], values[1::3], values[2::3], strict=True))
        objects[one["image_id"]].append(
            ComparedObject(names[one["category_id"]], one["segmentation"], (x, y, width, height), keypoints)
        )
    return [
        ComparedImage(
            image["file_name"],
            root / image["file_name"],
            image["sha256"],
            tuple(objects[image["id"]]),
            tuple(names[id_] for id_ in image.get("labels", [])),
            split,
        )
        for image in document["images"]
    ]


def _pairs(
    old: Mapping[str, ComparedImage], new: Mapping[str, ComparedImage]
) -> list[tuple[ComparedImage, ComparedImage]]:
    """The same image in both versions: by its name, or else by its bytes."""
    pairs = [(old[name], new[name]) for name in sorted(old.keys() & new.keys())]
    elsewhere: dict[str, list[ComparedImage]] = {}
    for name in sorted(new.keys() - old.keys()):
        elsewhere.setdefault(new[name].sha256, []).append(new[name])
    gone = [old[name] for name in sorted(old.keys() - new.keys())]
    return pairs + [(one, elsewhere[one.sha256].pop(0)) for one in gone if elsewhere.get(one.sha256)]


def _changed(before: ComparedImage | None, after: ComparedImage | None) -> ChangedImage:
    one, other = before.objects if before else (), after.objects if after else ()
    gone = Counter(item.key for item in one) - Counter(item.key for item in other)
    new = Counter(item.key for item in other) - Counter(item.key for item in one)
    return ChangedImage(before, after, _taken(one, gone), _taken(other, new), len(other) - new.total())


def _taken(objects: Sequence[ComparedObject], counts: Counter[str]) -> tuple[ComparedObject, ...]:
    places: dict[str, list[int]] = {}
    for index, one in enumerate(objects):
        places.setdefault(one.key, []).append(index)
    chosen = {index for key, number in counts.items() for index in places[key][:number]}
    return tuple(one for index, one in enumerate(objects) if index in chosen)
