"""Copies a dataset under new names, by UUID or content hash, with a mapping file that leads back."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import posixpath
import re
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from sightline import strict_json
from sightline.data.tools.listing import Item, list_items, refuse
from sightline.data.tools.new_folder import copy_file, new_folder, require_new
from sightline.errors import DataError
from sightline.files import file_sha256, write_atomically
from sightline.logs import Progress
from sightline.relative_path import fault_in

MAPPING_SUFFIX = ".mapping.csv"
"""End of the name of the mapping file, which is beside the new folder: so the folder contains no original name."""

_COLUMNS = ["new", "old", "sha256"]
_IMAGE_PATH = re.compile(rb'("imagePath"\s*:\s*)"(?:[^"\\]|\\.)*"')

Naming = Literal["uuid", "hash"]


@dataclass(frozen=True, slots=True)
class Renamed:
    """One renamed file; paths are relative to their folders, POSIX.

    Attributes:
        new: The new path.
        old: The original path.
        sha256: SHA-256 of the original file, hexadecimal.
    """

    new: str
    old: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Restored:
    """The result of renaming back.

    Attributes:
        files: The files that were written.
        changed: Files whose contents differ from the originals, because they were edited in the meantime.
    """

    files: tuple[Renamed, ...]
    changed: tuple[str, ...]


def mapping_of(folder: Path) -> Path:
    """The mapping file of a renamed folder: UTF-8 CSV with the columns new, old and sha256 (of the original file).

    Example:
        >>> mapping_of(Path("data/renamed")).as_posix()
        'data/renamed.mapping.csv'
    """
    return folder.with_name(folder.name + MAPPING_SUFFIX)


def rename(source: Path, out: Path, by: Naming, *, dry_run: bool = False) -> tuple[Renamed, ...]:
    """Copy class folders or labelme files with new file names; folders keep their names.

    The labelme file of an image gets the same name, and its ``imagePath`` follows.

    Args:
        source: Class folders with images, or labelme files with images.
        out: The new folder; the mapping file is beside it, see :func:`mapping_of`.
        by: ``uuid`` for random names, or ``hash`` for the SHA-256 of the image; several equal files in one folder get
            a number in addition.
        dry_run: Whether only to compute the result.

    Raises:
        DataError: ``source`` has no labeled images, or ``out`` or the mapping file exists.
        StepError: ``out`` cannot be written.
    """
    require_new(out, source)
    require_new(mapping_of(out))
    listing = list_items(source)
    renamed = _names(source, listing.items, by)
    if not dry_run:
        new = {row.old: row.new for row in renamed}
        images = {item.annotation: new[item.image] for item in listing.items if item.annotation and item.image}
        with new_folder(out, source) as part:
            for row in renamed:
                image_path = _relative(images[row.old], row.new) if row.old in images else ""
                _copy(source / row.old, part / row.new, image_path)
            # Before the folder appears, because without the mapping nothing leads back.
            write_atomically(mapping_of(out), _csv(renamed))
    return renamed


def rename_back(mapping: Path, out: Path, *, dry_run: bool = False) -> Restored:
    """Copy the files of a renamed dataset under their original names.

    Args:
        mapping: The mapping file that :func:`rename` wrote, beside the renamed folder.
        out: The new folder.
        dry_run: Whether only to check and compute the result.

    Raises:
        DataError: The mapping file is invalid, files of it are missing, or ``out`` exists.
        StepError: ``out`` cannot be written.
    """
    if not mapping.name.endswith(MAPPING_SUFFIX):
        raise DataError(f"{mapping}: expected the file FOLDER{MAPPING_SUFFIX} beside the renamed folder")
    source = mapping.with_name(mapping.name.removesuffix(MAPPING_SUFFIX))
    require_new(out, source)
    rows = _read(mapping)
    refuse(str(mapping), [f"{row.new}: the file is missing" for row in rows if not (source / row.new).is_file()])
    if dry_run:
        return Restored(rows, ())
    changed, old = [], {row.new: row.old for row in rows}
    with new_folder(out, source) as part:
        for row in rows:
            _restore(source / row.new, part / row.old, row, old)
            if file_sha256(part / row.old) != row.sha256:
                changed.append(row.old)
    return Restored(rows, tuple(changed))


def _names(root: Path, items: Sequence[Item], by: Naming) -> tuple[Renamed, ...]:
    rows: list[Renamed] = []
    taken: set[str] = set()
    with Progress("hash images", total=len(items), unit="images") as progress:
        for item in items:
            digests = {name: file_sha256(root / name) for name in item.files}
            stem = uuid.uuid4().hex if by == "uuid" else digests[item.files[-1]]
            stem = _free(stem, [str(PurePosixPath(name).parent) for name in item.files], taken)
            rows += [Renamed(_renamed(name, stem), name, digests[name]) for name in item.files]
            progress.advance()
    return tuple(rows)


def _free(stem: str, folders: Sequence[str], taken: set[str]) -> str:
    """The name, with a number if a file in one of the folders has it already."""
    number, name = 1, stem
    while any(f"{folder}/{name}" in taken for folder in folders):
        number += 1
        name = f"{stem}-{number}"
    taken.update(f"{folder}/{name}" for folder in folders)
    return name


def _renamed(name: str, stem: str) -> str:
    path = PurePosixPath(name)
    return str(path.with_name(stem + path.suffix.lower()))


def _relative(image: str, annotation: str) -> str:
    """The path of an image relative to the folder of its annotation file."""
    return posixpath.relpath(image, posixpath.dirname(annotation) or ".")


def _copy(source: Path, target: Path, image_path: str) -> None:
    if not image_path:
        copy_file(source, target)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(_with_image_path(source.read_bytes(), image_path, ascii_only=False))


def _with_image_path(content: bytes, image_path: str, *, ascii_only: bool) -> bytes:
    """A labelme file with another ``imagePath``; all other bytes stay if that is possible."""
    value = json.dumps(image_path, ensure_ascii=ascii_only).encode()
    if len(_IMAGE_PATH.findall(content)) == 1:
        return _IMAGE_PATH.sub(lambda match: match[1] + value, content)
    document = strict_json.decode(content, finite=False)
    return json.dumps({**document, "imagePath": image_path}, ensure_ascii=False, indent=2).encode()


def _restore(source: Path, target: Path, row: Renamed, old: Mapping[str, str]) -> None:
    """Copy a file back; a labelme file gets the ``imagePath`` it had, spelled so that its digest is the original's."""
    target.parent.mkdir(parents=True, exist_ok=True)
    image = _image_of(source, row, old)
    if not image:
        copy_file(source, target)
        return
    content, path = source.read_bytes(), _relative(image, row.old)
    spellings = [
        _with_image_path(content, spelled, ascii_only=ascii_only)
        for spelled in (path, path.replace("/", "\\"))
        for ascii_only in (False, True)
    ]
    target.write_bytes(next((one for one in spellings if hashlib.sha256(one).hexdigest() == row.sha256), spellings[0]))


def _image_of(source: Path, row: Renamed, old: Mapping[str, str]) -> str:
    """The original path of the image of a renamed labelme file; empty for other files and embedded images."""
    if not row.new.lower().endswith(".json"):
        return ""
    try:
        image_path = strict_json.decode(source.read_bytes(), finite=False)["imagePath"]
    except (strict_json.JsonError, LookupError, TypeError) as error:
        raise DataError(f"{source} is not a labelme file any more ({error}); restore it") from error
    return old.get(posixpath.normpath(posixpath.join(posixpath.dirname(row.new), str(image_path))), "")


def _csv(rows: Sequence[Renamed]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([_COLUMNS, *([row.new, row.old, row.sha256] for row in rows)])
    return text.getvalue()


def _read(mapping: Path) -> tuple[Renamed, ...]:
    try:
        with mapping.open(encoding="utf-8-sig", newline="") as stream:
            lines = list(csv.reader(stream, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{mapping} cannot be read ({error}); give the file that rename wrote") from error
    if not lines or lines[0] != _COLUMNS:
        raise DataError(f"{mapping} does not begin with the line {','.join(_COLUMNS)}; give the file that rename wrote")
    faults = [
        f"line {number}: {fault}" for number, line in enumerate(lines[1:], start=2) if (fault := _line_fault(line))
    ]
    old = Counter(line[1] for line in lines[1:] if len(line) == len(_COLUMNS))
    faults += [f"{name}: {count} files have this old name" for name, count in old.items() if count > 1]
    refuse(str(mapping), faults)
    return tuple(Renamed(*line) for line in lines[1:])


def _line_fault(line: Sequence[str]) -> str:
    if len(line) != len(_COLUMNS):
        return f"{len(line)} values; expected {len(_COLUMNS)}: {', '.join(_COLUMNS)}"
    return next((f"{path!r} cannot be used: {fault}" for path in line[:2] if (fault := fault_in(path))), "")
