"""Reads images whose folder is their class: ``<class>/image``, ``<split>/<class>/image`` and the like.

The class is the innermost folder with the name of a class; otherwise the folder below the split, or the folder of the
image.  A folder above it may name the split, as in ``<version>/<usage>/<class>/image`` with ``Training``.
"""

from __future__ import annotations

import difflib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sightline.config.data import Data
from sightline.config.labels import SINGLE_SET
from sightline.data.annotations import Annotations, Fault, SplitName
from sightline.data.folder_files import first_names, list_files
from sightline.data.formats.image_index import Place
from sightline.data.formats.image_labels import LabelSetReader
from sightline.data.formats.image_reader import AnnotatedImage, ImageReader
from sightline.data.formats.joining import Found, join_readings
from sightline.data.formats.labels import LabelMap, difference, respelled, respelling_remedy
from sightline.data.formats.parallel import read_all
from sightline.data.formats.reading import FileReading
from sightline.data.formats.split_names import split_named, split_of_folders
from sightline.errors import DataError
from sightline.plural import counted


@dataclass(frozen=True, slots=True)
class ClassFolder:
    """A folder whose images have one class.

    Attributes:
        path: Relative to the annotation folder, POSIX.
        name: The name of the class as written; empty if the images are in no class folder.
        split: The split that a folder above it names.
        images: The images in it and in its folders.
    """

    path: str
    name: str
    split: SplitName | None
    images: list[str] = field(default_factory=list)


def read_folder(root: Path, data: Data, *, classes_known: bool = True) -> Annotations:
    """Read a folder of class folders.

    Args:
        root: The folder; no file outside is opened.
        data: The label set, aliases, fault policies, limits.
        classes_known: Whether the names of folders are checked against ``data.classes``.

    Raises:
        DataError: The folder has no image in a folder, or the configuration has not exactly one label set.
    """
    label_set = _label_set(root, data, classes_known)
    files = list_files(root)
    labels = LabelMap(data, classes_known=classes_known)
    folders = _class_folders(files.images, labels if classes_known else None)
    if not any(folder.name for folder in folders):
        raise DataError(f"{root} has no images in class folders; expected <class>/image or <split>/<class>/image")
    wrong = _wrong_names(folders, label_set, data, classes_known)
    wrong |= {folder.path: _no_class(folder) for folder in folders if not folder.name}
    items = [
        AnnotatedImage(Place(image), image, labels={label_set: (folder.name,)}, split=folder.split)
        for folder in folders
        if folder.path not in wrong
        for image in folder.images
    ]
    readings = [_left_out(folder, wrong[folder.path], label_set, data) for folder in folders if folder.path in wrong]
    readings += read_all(
        ImageReader(root, data, classes_known=classes_known).read, items, root, data.jobs, unit="images"
    )
    empty = tuple(_empty_folders(root, folders, labels if classes_known else None))
    return join_readings(readings, Found("folders", 0, faults=empty), data, classes_known=classes_known)


def _label_set(root: Path, data: Data, classes_known: bool) -> str:
    """The name of the only label set."""
    if not classes_known:
        return SINGLE_SET
    if not data.label_sets:
        raise DataError(
            f"{root}: folders are classes of whole images, but the task needs objects; use a recipe for classification"
        )
    if len(data.label_sets) > 1:
        raise DataError(
            f"{root}: folders name the classes of one label set, but data.label_sets has {', '.join(data.label_sets)}; "
            "write the labels into a CSV file, or set data.classes to those of the folders"
        )
    return next(iter(data.label_sets))


def _class_folders(images: Sequence[str], labels: LabelMap | None) -> list[ClassFolder]:
    """The class folders, sorted by path; images in no class folder have one without a name for each folder."""
    found: dict[str, ClassFolder] = {}
    for image in images:
        folders = image.split("/")[:-1]
        depth = _depth_of_class(folders, labels)
        path = "/".join(folders if depth is None else folders[: depth + 1])
        name = "" if depth is None else folders[depth]
        above = folders if depth is None else folders[:depth]
        folder = found.setdefault(path, ClassFolder(path, name, split_of_folders(above)))
        folder.images.append(image)
    return [found[path] for path in sorted(found)]


def _depth_of_class(folders: Sequence[str], labels: LabelMap | None) -> int | None:
    """The index of the folder that names the class; None if none can."""
    for depth in reversed(range(len(folders))):
        if labels is not None:
            target = labels.target(folders[depth])
            if labels.is_class(target) or labels.is_ignored(target):
                return depth
    for depth in reversed(range(len(folders))):
        if split_named(folders[depth]) is not None:
            return depth + 1 if depth + 1 < len(folders) else None
    return len(folders) - 1 if folders else None


def _wrong_names(
    folders: Sequence[ClassFolder], label_set: str, data: Data, classes_known: bool
) -> dict[str, list[Fault]]:
    """Folder -> the faults of its name."""
    named = [folder for folder in folders if folder.name]
    if classes_known:
        reader, labels = LabelSetReader(data), LabelMap(data, classes_known=True)
        return {
            folder.path: [_counted(fault, folder) for fault in faults]
            for folder in named
            if not labels.is_ignored(labels.target(folder.name))
            and (faults := reader.from_columns({label_set: [folder.name]}, folder.path)[1])
        }
    totals = Counter({folder.name: 0 for folder in named})
    for folder in named:
        totals[folder.name] += len(folder.images)
    meant = respelled(totals, data.ignored_labels)
    wrong = {}
    for folder in named:
        if known := meant.get(folder.name):
            reason = f"the name differs from {known!r} by {difference(folder.name, known)}"
            wrong[folder.path] = [_unknown(folder, reason, respelling_remedy(known))]
        elif near := _misspelt_in_split(folder, named):
            reason = f"only {folder.split} has this class, and only {folder.split} lacks {near!r}: a misspelling?"
            wrong[folder.path] = [_unknown(folder, reason, f"rename it to {near!r}")]
    return wrong


def _misspelt_in_split(folder: ClassFolder, folders: Sequence[ClassFolder]) -> str:
    """A similar class that all other splits have and this one lacks; empty if there is none."""
    classes: dict[SplitName, set[str]] = {}
    for other in folders:
        if other.split is not None:
            classes.setdefault(other.split, set()).add(other.name)
    if folder.split is None or len(classes) < 2:
        return ""
    others = [names for split, names in classes.items() if split != folder.split]
    if any(folder.name in names for names in others):
        return ""
    lacking = set.intersection(*others) - classes[folder.split]
    near = next(iter(difflib.get_close_matches(folder.name, sorted(lacking), n=1, cutoff=0.6)), "")
    return near if near and _weight(folder.name, folders) <= _weight(near, folders) else ""


def _weight(name: str, folders: Sequence[ClassFolder]) -> tuple[int, int, bool]:
    """How likely a name is the intended one: its number of folders and images, and whether train has it."""
    named = [folder for folder in folders if folder.name == name]
    return len(named), sum(len(folder.images) for folder in named), any(folder.split == "train" for folder in named)


def _unknown(folder: ClassFolder, reason: str, remedy: str) -> Fault:
    return _counted(Fault("unknown_label", folder.path, None, folder.name, reason, remedy), folder)


def _counted(fault: Fault, folder: ClassFolder) -> Fault:
    reason = f"{fault.reason} ({counted(len(folder.images), 'image')})"
    return Fault(fault.kind, fault.file, None, fault.label, reason, fault.remedy)


def _no_class(folder: ClassFolder) -> list[Fault]:
    where = "of the dataset" if not folder.path else "of a split" if folder.split else "of no class"
    reason = f"{first_names(folder.images, 'image')} directly in a folder {where}, so without a class"
    remedy = "move them into the folder of their class, or let record leave them out (data.faults.missing_label=drop)"
    return [Fault("missing_label", folder.path or ".", None, None, reason, remedy)]


def _left_out(folder: ClassFolder, faults: list[Fault], label_set: str, data: Data) -> FileReading:
    """The reading of a folder whose images are not read."""
    reading = FileReading(folder.path or ".", faults=faults)
    if folder.name:
        reading.labels[folder.name] = len(folder.images)
        reading.label_sets = ((label_set, folder.name),) * len(folder.images)
    if getattr(data.faults, faults[0].kind) == "drop":
        reading.dropped[faults[0].kind] = len(folder.images)
    return reading


def _empty_folders(root: Path, folders: Sequence[ClassFolder], labels: LabelMap | None) -> Iterator[Fault]:
    """A fault for each folder of a class without images; versions cannot hold empty folders."""
    used = {part for folder in folders for part in _with_parents(folder.path)}
    named = {folder.name for folder in folders}
    for path, below, files in os.walk(root):
        below[:] = sorted(name for name in below if not name.startswith("."))
        relative = Path(path).relative_to(root).as_posix()
        if relative in used or relative == ".":
            continue
        name = relative.rpartition("/")[2]
        is_class = name in named if labels is None else labels.is_class(labels.target(name))
        if is_class or not (below or files):
            below.clear()
            remedy = "add images of the class, or remove the folder"
            yield Fault("missing_image", relative, None, name, "the class folder contains no image", remedy)


def _with_parents(path: str) -> Iterator[str]:
    parts = path.split("/")
    for end in range(1, len(parts) + 1):
        yield "/".join(parts[:end])
