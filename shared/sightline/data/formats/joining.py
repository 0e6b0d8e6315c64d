"""Joins the readings of all images of a folder; finds the faults that only show across images."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sightline.config.data import Data
from sightline.config.labels import Keypoints
from sightline.data.annotations import Annotations, Fault, FaultKind
from sightline.data.formats.labels import IGNORED_LABEL, difference, respelled, respelling_remedy
from sightline.data.formats.reading import FileReading, LabelPlace


@dataclass(frozen=True, slots=True)
class Found:
    """What a folder holds besides the readings of its images.

    Attributes:
        format: Name of the format.
        files: Number of annotation files.
        unlabelled_images: Number of images without annotations.
        faults: Faults of no single image, such as those of the annotation file itself.
        keypoints: The keypoints that the annotations declare.
        unused_columns: Columns of a table that are no label set -> number of different values.
        table: The file with the labels of whole images; empty if folders are the labels.
        classes: The classes in the order in which the annotations list them; empty if they do not.
    """

    format: str
    files: int
    unlabelled_images: int = 0
    faults: tuple[Fault, ...] = ()
    keypoints: Keypoints = field(default_factory=Keypoints)
    unused_columns: Mapping[str, int] = field(default_factory=dict)
    table: str = ""
    classes: tuple[str, ...] = ()


def join_readings(readings: Sequence[FileReading], found: Found, data: Data, *, classes_known: bool) -> Annotations:
    """The annotations of a folder.

    Images that several readings name are reported, and labels that are probably misspelled if the classes are not
    known; one class only is reported for label sets.

    Args:
        readings: The reading of each image; their faults, counts and images may change.
        found: Facts about the folder.
        data: Fault policies, ignored labels.
        classes_known: Whether labels were checked against ``data.classes``.
    """
    _report_shared_images(readings, data)
    if not classes_known:
        _report_spellings(readings, data)
    label_sets = _label_sets(readings)
    extra = [*found.faults, *_single_classes(label_sets, found, data)]
    faults = [fault for reading in readings for fault in reading.faults]
    dropped = sum((Counter[str](reading.dropped) for reading in readings), Counter[str]())
    dropped.update(fault.kind for fault in extra if getattr(data.faults, fault.kind) == "drop")
    return Annotations(
        images=sorted((reading.image for reading in readings if reading.image), key=lambda image: image.image),
        faults=_by_file([*extra, *faults]),
        dropped=dict(dropped),
        ignored=sum(reading.ignored for reading in readings),
        left_out=_by_class(readings),
        files=found.files,
        labels=dict(sorted(sum((reading.labels for reading in readings), Counter[str]()).items())),
        unlabelled_images=found.unlabelled_images,
        format=found.format,
        label_sets=label_sets,
        keypoints=found.keypoints,
        unused_columns=dict(found.unused_columns),
        declared_classes=found.classes,
    )


def _by_file(faults: Iterable[Fault]) -> list[Fault]:
    """The faults file by file, in the order in which the files first appear, and by line."""
    groups: dict[str, list[Fault]] = {}
    for fault in faults:
        groups.setdefault(fault.file, []).append(fault)
    return [fault for group in groups.values() for fault in _lines_in_order(group)]


def _lines_in_order(faults: Sequence[Fault]) -> Iterator[Fault]:
    """The faults of one file; those of lines by their numbers, all others at their places."""
    ordered = iter(sorted((fault for fault in faults if _line(fault)), key=_line))
    return (next(ordered) if _line(fault) else fault for fault in faults)


def _line(fault: Fault) -> int:
    """The line of a fault; 0 if its place is no line."""
    word, _, number = fault.entry.partition(" ")
    return int(number) if word == "line" and number.isdecimal() else 0


def _label_sets(readings: Iterable[FileReading]) -> dict[str, dict[str, int]]:
    """Label set -> name -> number of images."""
    counts: dict[str, Counter[str]] = {}
    for reading in readings:
        for label_set, name in reading.label_sets:
            counts.setdefault(label_set, Counter())[name] += 1
    return {label_set: dict(sorted(names.items())) for label_set, names in counts.items()}


def _single_classes(label_sets: Mapping[str, Mapping[str, int]], found: Found, data: Data) -> list[Fault]:
    """A fault for each label set of which all images have the same class."""
    faults = []
    for label_set, names in label_sets.items():
        if len(names) == 1 and not (label_set in data.label_sets and data.label_sets[label_set].multiple):
            (name,) = names
            entry = f"label set {label_set}" if found.table else ""
            reason = f"all images have the class {name!r}, but a classifier needs at least two classes"
            remedy = "add images of other classes"
            faults.append(Fault("missing_label", found.table or name, None, name, reason, remedy, entry))
    return faults


def _by_class(readings: Iterable[FileReading]) -> dict[str, dict[str, int]]:
    counts = sum((Counter[tuple[str, FaultKind]](reading.left_out) for reading in readings), Counter())
    left_out: dict[str, dict[str, int]] = {}
    for label, kind in sorted(counts):
        left_out.setdefault(label, {})[kind] = counts[label, kind]
    return left_out


def _report_spellings(readings: Sequence[FileReading], data: Data) -> None:
    """Report labels that are probably misspelled: extra spaces, other letter case, invisible characters."""
    totals = sum((Counter[str](reading.labels) for reading in readings), Counter[str]())
    meant = respelled(totals, (IGNORED_LABEL, *data.ignored_labels))
    for reading in readings if meant else ():
        faults = [
            _spelling_fault(reading.file, place, meant[place[2]]) for place in reading.places if place[2] in meant
        ]
        reading.faults = sorted(
            [*reading.faults, *faults], key=lambda fault: -1 if fault.shape is None else fault.shape
        )


def _spelling_fault(file: str, place: LabelPlace, meant: str) -> Fault:
    shape, entry, label = place
    reason = f"the label differs from {meant!r} by {difference(label, meant)}"
    return Fault("unknown_label", file, shape, label, reason, respelling_remedy(meant), entry)


def _report_shared_images(readings: Sequence[FileReading], data: Data) -> None:
    """Report two annotations of one image, or of two images whose names differ only in letter case."""
    by_name: dict[tuple[bool, str], list[tuple[FileReading, str]]] = {}
    for reading in readings:
        embedded = reading.image is not None and reading.image.embedded is not None
        name = reading.image.image if reading.image else reading.names
        if name:
            key = embedded, unicodedata.normalize("NFC", name).casefold()
            by_name.setdefault(key, []).append((reading, name))
    for sharing in by_name.values():
        for reading, name in sharing if len(sharing) > 1 else ():
            other, other_name = next(pair for pair in sharing if pair[0] is not reading)
            _report_shared(reading, name, other, other_name, data)


def _report_shared(reading: FileReading, name: str, other: FileReading, other_name: str, data: Data) -> None:
    there = other.entry if other.file == reading.file else f"{other.file}{f': {other.entry}' if other.entry else ''}"
    if other_name == name:
        reason, remedy = f"image {name} is also named by {there}", "keep one of the two"
        remedy = "keep one of the two" if reading.entry else "keep one JSON file for each image"
    else:
        reason = f"image {name} and {other_name} of {there} differ only in letter case or Unicode form"
        remedy = "rename one of the images, so that the dataset can be checked out on every system"
    reading.faults.insert(0, Fault("duplicate_image", reading.file, None, None, reason, remedy, reading.entry))
    if reading.image is None:
        return
    if data.faults.duplicate_image == "drop":
        reading.dropped = Counter({"duplicate_image": 1})
        reading.left_out.update((one, "duplicate_image") for one in reading.image.classes)
    else:
        reading.dropped.clear()
    reading.image = None
