"""Lists the labeled images of a folder by their names alone: class folders or labelme; no image is decoded."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from sightline.data.annotations import Fault
from sightline.data.folder_files import FolderFiles, first_names, list_files, suffix_of
from sightline.data.formats.csv_file import table_files
from sightline.data.formats.labelme.document import MAX_JSON_BYTES, parse
from sightline.data.formats.yolo_layout import label_file
from sightline.errors import DataError
from sightline.plural import counted

_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Item:
    """One labeled image.

    Attributes:
        image: Path of the image relative to the folder, POSIX; empty if it is embedded in the annotation.
        annotation: Path of its labelme file relative to the folder, POSIX; empty in class folders.
        label: Path of the class folder, such as ``crack`` or ``v1/train/crack``; empty for labelme.
        shown: The labels of a labelme file's objects and its set flags, each once.
    """

    image: str
    annotation: str = ""
    label: str = ""
    shown: frozenset[str] = frozenset()

    @property
    def files(self) -> tuple[str, ...]:
        """The files of the item."""
        return tuple(name for name in (self.annotation, self.image) if name)


@dataclass(frozen=True, slots=True)
class Listing:
    """The labeled images of a folder.

    Attributes:
        root: The folder.
        kind: ``labelme`` or ``folders``.
        items: Sorted by path.
        other: Files that belong to no item, sorted.
    """

    root: Path
    kind: Literal["labelme", "folders"]
    items: tuple[Item, ...]
    other: tuple[str, ...]

    @property
    def classes(self) -> dict[str, list[Item]]:
        """Class folder -> its items; for labelme, the rarest label of a file -> its items, empty without labels."""
        images = Counter(label for item in self.items for label in item.shown)
        found: dict[str, list[Item]] = {}
        for item in self.items:
            rarest = min(item.shown, key=lambda label: (images[label], label), default=item.label)
            found.setdefault(rarest, []).append(item)
        return dict(sorted(found.items()))


def list_items(root: Path) -> Listing:
    """List a folder of labelme files, or of class folders if it has no JSON file.

    Raises:
        DataError: It is not a folder, has no labeled image, images outside class folders, label files of other formats,
            or labelme files that cannot be used; the message lists them.
    """
    found = list_files(root)
    found.require_accepted()
    _refuse_other_formats(found)
    listing = _labelme(found) if found.annotation_files else _folders(found)
    if not listing.items:
        raise DataError(f"{root} has no labeled images; expected class folders with images, or labelme files")
    return listing


def _refuse_other_formats(found: FolderFiles) -> None:
    """Refuse label files that would be left behind, because they are not read here."""
    texts = {name for name in found.files if suffix_of(name) == ".txt"}
    labels = [label for image in found.images if (label := label_file(image)) in texts]
    tables = [] if found.annotation_files else [name for name in table_files(found) if "/" not in name]
    for names, what in ((labels, "YOLO label file"), (tables, "CSV file")):
        if names:
            raise DataError(
                f"{found.root} has {first_names(names, what, limit=3)}; expected class folders or labelme files. "
                "Convert it first with sightline dataset convert, or move the files away if the folders are the classes"
            )


def refuse(where: str, faults: Sequence[str]) -> None:
    """Raise an error with all faults, of which the first 20 are shown.

    Raises:
        DataError: There is a fault.
    """
    if faults:
        more = [f"  and {len(faults) - _SHOWN} more"] if len(faults) > _SHOWN else []
        shown = [f"  {fault}" for fault in faults[:_SHOWN]]
        raise DataError("\n".join([f"{where}: {counted(len(faults), 'fault')}; nothing was written", *shown, *more]))


def _folders(found: FolderFiles) -> Listing:
    images = found.images
    loose = [name for name in images if "/" not in name]
    refuse(str(found.root), [f"{name}: the image is in no class folder; move it to <class>/{name}" for name in loose])
    items = tuple(Item(name, label=str(PurePosixPath(name).parent)) for name in images)
    listed = set(images)
    return Listing(found.root, "folders", items, tuple(name for name in found.files if name not in listed))


def _labelme(found: FolderFiles) -> Listing:
    files = set(found.files)
    items, faults = [], []
    for name in found.annotation_files:
        item = _labelme_item(found.root, name, files)
        if isinstance(item, Item):
            items.append(item)
        else:
            faults += item
    faults += _shared(items)
    refuse(str(found.root), faults)
    listed = {name for item in items for name in item.files}
    other = tuple(name for name in found.files if name not in listed)
    return Listing(found.root, "labelme", tuple(items), other)


def _labelme_item(root: Path, name: str, files: set[str]) -> Item | list[str]:
    path = root / name
    if path.stat().st_size > MAX_JSON_BYTES:
        return [f"{name}: it has more than {MAX_JSON_BYTES:,} bytes; check what it is"]
    parsed, faults = parse(path.read_bytes(), name)
    if parsed is None:
        return [_said(fault) for fault in faults]
    shown = frozenset([*parsed.flags, *(shape.label for shape in parsed.shapes if shape.kind != "point")])
    image = _joined(name, parsed.image_path)
    for form in (image, unicodedata.normalize("NFC", image), unicodedata.normalize("NFD", image)):
        if form in files and form != name:
            return Item(form, name, shown=shown)
    if parsed.image_data is not None:
        return Item("", name, shown=shown)
    return [f"{name}: image {parsed.image_path!r} does not exist; add the image, or correct imagePath"]


def _said(fault: Fault) -> str:
    return str(fault)


def _joined(annotation: str, image_path: str) -> str:
    """The path of ``imagePath``, which is relative to the JSON file; outside the folder it begins with ``../``."""
    parts = list(PurePosixPath(annotation).parent.parts)
    for part in image_path.replace("\\", "/").split("/"):
        if part == ".." and parts and parts[-1] != "..":
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def _shared(items: Sequence[Item]) -> list[str]:
    first: dict[str, str] = {}
    return [
        f"{item.annotation}: image {item.image} is also annotated by {first[item.image]}; keep one of the two"
        for item in items
        if item.image and first.setdefault(item.image, item.annotation) != item.annotation
    ]
