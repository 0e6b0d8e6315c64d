"""Attributes of images from a CSV file, such as weather or camera, for slices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from sightline.data.formats.coco import CocoImage
from sightline.data.formats.table import Table, read_table
from sightline.errors import StorageError
from sightline.plural import counted
from sightline.storage.uris import fetch

_SHOWN_FAULTS = 3


@dataclass(frozen=True, slots=True)
class ImageAttributes:
    """The attributes of the images of a split.

    Attributes:
        columns: Column -> its value for each image, in the order of the split; empty where there is none.
        notes: What could not be used, in full sentences.
    """

    columns: Mapping[str, Sequence[str]] = field(default_factory=dict)
    notes: Sequence[str] = ()


def read_attributes(address: str, images: Sequence[CocoImage], root: Path, folder: Path) -> ImageAttributes:
    """Read the CSV file of ``evaluate.attributes``; what cannot be used is stated in the notes.

    The first column is the path of an image: as in the training set, relative to the dataset's folder, or, if it is
    unique in the split, only the name of the file.

    Args:
        address: URI, or a path: absolute, relative to the data repository, or else to the working directory; empty:
            no attributes.
        images: The images of the split.
        root: The checkout of the data repository.
        folder: Folder for a fetched file.
    """
    if not address:
        return ImageAttributes()
    try:
        path = _local(address, root, folder)
    except StorageError as error:
        return ImageAttributes(notes=[f"No attributes, because {address} cannot be read: {error}."])
    table = read_table(path.parent, path.name)
    faults = [str(replace(fault, file=address)) for fault in table.faults[:_SHOWN_FAULTS]]
    if more := len(table.faults) - len(faults):
        faults.append(f"{address}: {counted(more, 'more fault')}.")
    if not table.columns:
        return ImageAttributes(notes=[f"No attributes. {fault}." for fault in faults])
    if len(table.columns) == 1:
        return ImageAttributes(notes=[*faults, f"No attributes: {address} has only the column {table.columns[0]}."])
    return _joined(table, address, images, faults)


def _local(address: str, root: Path, folder: Path) -> Path:
    """The file on this machine.

    Raises:
        StorageError: It cannot be fetched.
    """
    if "://" in address:
        folder.mkdir(parents=True, exist_ok=True)
        return fetch(address, folder)
    try:
        inside = root / address
        path = inside if inside.is_file() else Path(address).expanduser()
        path.stat()
    except (OSError, ValueError, RuntimeError) as error:  # ValueError: a null byte; RuntimeError: an unknown user
        raise StorageError(f"{error}; check the path") from error
    return path


def _joined(table: Table, address: str, images: Sequence[CocoImage], faults: Sequence[str]) -> ImageAttributes:
    key, *names = table.columns
    places = _places(images)
    columns: dict[str, list[str]] = {name: [""] * len(images) for name in names}
    seen: set[int] = set()
    others = repeated = 0
    for row in table.rows:
        at = places.get(PurePosixPath(row.cells[key].replace("\\", "/")).as_posix())
        if at is None:
            others += 1
        elif at in seen:
            repeated += 1
        else:
            seen.add(at)
            for name in names:
                columns[name][at] = row.cells[name]
    notes = list(faults)
    if missing := len(images) - len(seen):
        notes.append(
            f"{address} has no row for {missing} of {counted(len(images), 'image')} of this split; they are in no "
            "slice of its columns."
        )
    if others and missing:
        notes.append(f"{counted(others, 'row')} of {address} name images that are not in this split.")
    if repeated:
        notes.append(f"{counted(repeated, 'row')} of {address} repeat an image; the first row counts.")
    return ImageAttributes(columns, notes)


def _places(images: Sequence[CocoImage]) -> dict[str, int]:
    """The ways to name an image -> its position in the split; names that fit several images are left out."""
    found: dict[str, int] = {}
    ambiguous: set[str] = set()
    for at, image in enumerate(images):
        path = PurePosixPath(image["file_name"])
        for name in {"/".join(path.parts[2:]), path.name} - {image["file_name"], ""}:
            if name in found:
                ambiguous.add(name)
            found[name] = at
    exact = {image["file_name"]: at for at, image in enumerate(images)}
    return {name: at for name, at in found.items() if name not in ambiguous} | exact
