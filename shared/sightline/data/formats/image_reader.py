"""Reads one image as an annotation file describes it: its file, its objects and its labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sightline.config.data import Data
from sightline.config.labels import class_name
from sightline.data.annotations import Fault, LabelledImage, SplitName
from sightline.data.formats.grouping import group_of_image
from sightline.data.formats.image_index import Place
from sightline.data.formats.image_labels import LabelSetReader
from sightline.data.formats.labels import LabelMap
from sightline.data.formats.objects import AnnotatedObject, ObjectReader, ObjectsResult
from sightline.data.formats.reading import FileReading, count_dropped, is_usable
from sightline.data.images import ImageFacts, UnreadableImageError, image_facts, read_bytes


@dataclass(frozen=True, slots=True)
class AnnotatedImage:
    """An image before it is opened.

    Attributes:
        place: Where it is annotated.
        image: Path of the image relative to the annotation folder; None if it was not found.
        size: Width and height as written; None if they are not.
        objects: Its objects, in the order of the file.
        labels: Label set -> names of classes of the whole image, as written.
        group: Images with the same group stay in one split; empty if none is given.
        split: The split that the annotations give it.
        faults: Faults of the image that were found without opening it.
    """

    place: Place
    image: str | None
    size: tuple[int, int] | None = None
    objects: tuple[AnnotatedObject, ...] = ()
    labels: Mapping[str, Sequence[str]] = field(default_factory=dict)
    group: str = ""
    split: SplitName | None = None
    faults: tuple[Fault, ...] = ()


class ImageReader:
    """Reads images; it can be sent to other processes.

    Args:
        root: The annotation folder.
        data: Classes, label sets, keypoints, fault policies, limits.
        classes_known: Whether labels are checked against ``data.classes``.
    """

    def __init__(self, root: Path, data: Data, *, classes_known: bool) -> None:
        self.root, self.data, self._classes_known = root, data, classes_known
        self._labels = LabelMap(data, classes_known=classes_known)
        self._label_sets = LabelSetReader(data) if data.label_sets and classes_known else None

    def read(self, item: AnnotatedImage) -> FileReading:
        """Read one image with its annotations; faults are part of the reading."""
        facts, broken = self.facts(item)
        return self.finish(item, facts, [*item.faults, *broken, *_compare_sizes(item, facts)])

    def facts(self, item: AnnotatedImage) -> tuple[ImageFacts | None, list[Fault]]:
        """The facts about an image, or None and the fault that prevents them."""
        if item.image is None:
            return None, []
        try:
            content = read_bytes(self.root / item.image, self.data.max_pixels)
            return image_facts(content, self.data.max_pixels, item.image), []
        except UnreadableImageError as error:
            place = Place(item.place.file, item.place.entry)
            return None, [place.fault("broken_image", f"image {item.image}: {error.reason}", error.remedy)]

    def finish(self, item: AnnotatedImage, facts: ImageFacts | None, faults: list[Fault]) -> FileReading:
        """Read the objects and labels of an image that was opened.

        Args:
            item: The image; its objects are in pixels.
            facts: Facts about it; None if it cannot be used.
            faults: The faults of the whole image.
        """
        reading = FileReading(item.place.file, item.image, entry=item.place.entry)
        written = [(label_set, name) for label_set, names in item.labels.items() for name in names if name]
        reading.label_sets = tuple(written)
        reading.labels.update(class_name(label_set, name, item.labels) for label_set, name in written)
        reading.labels.update(one.label for one in item.objects if one.label)
        if not self._classes_known:
            reading.places = _places(item)
        if self._ignored_labels(item):
            reading.ignored = 1
            return reading
        labels, more = self._image_labels(item)
        size = (facts.width, facts.height) if facts else item.size
        objects = self._objects(item, size if facts else None)
        reading.ignored, reading.faults = objects.ignored, [*faults, *more, *objects.faults]
        if facts is None or not is_usable([*faults, *more], self.data):
            kind = count_dropped(reading.dropped, [*faults, *more], self.data)
            if kind:
                targets = [self._labels.target(one.label) for one in item.objects]
                reading.left_out.update((one, kind) for one in (*targets, *labels) if self._labels.is_class(one))
            return reading
        reading.dropped, reading.left_out = objects.dropped, objects.left_out
        count_dropped(reading.dropped, [*faults, *more], self.data)
        reading.image = self._labelled(item, facts, objects, labels)
        return reading

    def _objects(self, item: AnnotatedImage, size: tuple[int, int] | None) -> ObjectsResult:
        if self.data.label_sets and self._classes_known:
            return ObjectsResult()
        return ObjectReader(item.place.file, self.data, self._labels, size).read(item.objects)

    def _ignored_labels(self, item: AnnotatedImage) -> bool:
        """Whether the whole image has an ignored label."""
        names = [name for given in item.labels.values() for name in given]
        return any(self._labels.is_ignored(self._labels.target(name)) for name in names)

    def _image_labels(self, item: AnnotatedImage) -> tuple[tuple[str, ...], list[Fault]]:
        if self._label_sets is None:
            return (), []
        return self._label_sets.from_columns(item.labels, item.place.file, item.place.entry)

    def _labelled(
        self, item: AnnotatedImage, facts: ImageFacts, objects: ObjectsResult, labels: tuple[str, ...]
    ) -> LabelledImage:
        path = item.image or ""
        return LabelledImage(
            file=item.place.file,
            image=path,
            embedded=None,
            width=facts.width,
            height=facts.height,
            size_bytes=facts.size_bytes,
            sha256=facts.sha256,
            perceptual_hash=facts.perceptual_hash,
            group=group_of_image(item.group, path, self.data.group_pattern, facts.sha256),
            flags=(),
            instances=tuple(objects.instances),
            labels=labels,
            split=item.split,
        )


def _places(item: AnnotatedImage) -> tuple[tuple[None, str, str], ...]:
    named = [
        (None, item.place.entry, class_name(label_set, name, item.labels))
        for label_set, names in item.labels.items()
        for name in names
        if name
    ]
    return (*named, *((None, one.entry, one.label) for one in item.objects if one.label))


def _compare_sizes(item: AnnotatedImage, facts: ImageFacts | None) -> list[Fault]:
    if facts is None or item.size is None or item.size == (facts.width, facts.height):
        return []
    actual = facts.width, facts.height
    turned = ", its sides swapped: annotated with another EXIF orientation" if item.size == actual[::-1] else ""
    reason = (
        f"width x height is {item.size[0]} x {item.size[1]}, but image {item.image} has {actual[0]} x {actual[1]} "
        f"pixels{turned}"
    )
    remedy = "check that the annotations fit the image, and correct width and height"
    return [item.place.fault("wrong_image_size", reason, remedy)]
