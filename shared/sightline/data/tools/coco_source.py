"""COCO files of any tool: read with all their fields, and their images found in a folder."""

from __future__ import annotations

import json
import posixpath
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from sightline import strict_json
from sightline.data.folder_files import list_files
from sightline.data.formats.coco_files import is_coco
from sightline.data.formats.image_index import composed
from sightline.data.tools.listing import refuse
from sightline.errors import DataError
from sightline.relative_path import fault_in

Document = dict[str, Any]
"""The decoded file; fields that Sightline does not know are kept."""


@dataclass(frozen=True, slots=True)
class CocoSource:
    """A COCO file.

    Attributes:
        path: The file.
        document: Its contents: ``images``, ``annotations`` and ``categories`` are lists of objects with ids.
    """

    path: Path
    document: Document

    def class_names(self) -> dict[Any, str]:
        """Category id -> name."""
        return {category["id"]: category["name"] for category in self.document["categories"]}

    def annotations_of(self) -> dict[Any, list[Document]]:
        """Image id -> its annotations."""
        found: dict[Any, list[Document]] = {image["id"]: [] for image in self.document["images"]}
        for annotation in self.document["annotations"]:
            found[annotation["image_id"]].append(annotation)
        return found

    def restricted(self, image_ids: set[Any]) -> Document:
        """The document with some of the images and their annotations; ids and other fields stay."""
        return {
            **self.document,
            "images": [image for image in self.document["images"] if image["id"] in image_ids],
            "annotations": [one for one in self.document["annotations"] if one["image_id"] in image_ids],
        }


def coco_files(source: Path) -> list[Path]:
    """The COCO files that a path means: the file itself, or the JSON files of a folder's top level or ``annotations``.

    Returns:
        The files in order; JSON files of other programs are left out.
    """
    if source.is_file():
        return [source]
    found = sorted(path for path in source.glob("*.json") if path.is_file()) if source.is_dir() else []
    found = found or sorted(source.glob("annotations/*.json"))
    return [path for path in found if _is_coco(path)]


def coco_file(source: Path) -> Path | None:
    """The only one of :func:`coco_files`; None if there is none, or several."""
    found = coco_files(source)
    return found[0] if len(found) == 1 else None


def _is_coco(path: Path) -> bool:
    if not is_coco(path):
        return False
    try:
        document = strict_json.decode(path.read_bytes(), finite=False)
    except strict_json.JsonError:
        return False
    return isinstance(document, dict) and {"images", "annotations"} <= document.keys()


def read_source(path: Path) -> CocoSource:
    """Read a COCO file and check that its parts refer to each other.

    Raises:
        DataError: It cannot be read, or has faults; the message lists them.
    """
    try:
        document = strict_json.decode(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}); give a COCO file") from error
    except strict_json.JsonError as error:
        raise DataError(f"{path}: {error}; give a COCO file") from error
    parts = ("images", "annotations", "categories")
    if not isinstance(document, dict) or not all(isinstance(document.get(part), list) for part in parts):
        raise DataError(f"{path} is not a COCO file; expected an object with the lists {', '.join(parts)}")
    refuse(str(path), [fault for part in parts for fault in _entry_faults(document[part], part)])
    refuse(str(path), list(_reference_faults(document)))
    return CocoSource(path, document)


def coco_text(document: Document) -> str:
    """A COCO document as compact JSON."""
    return json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


class ImageFiles:
    """Finds the files of a COCO document's images below a folder.

    Args:
        folder: The folder; a name is looked up in it, in its folder ``images``, then as the end of a path.
    """

    def __init__(self, folder: Path) -> None:
        self.names = set(list_files(folder).images)
        self._by_path = {composed(name): name for name in sorted(self.names)}
        self._by_name: dict[str, list[str]] = {}
        for key in self._by_path:
            self._by_name.setdefault(posixpath.basename(key), []).append(key)

    def find(self, file_name: str) -> str | None:
        """The path of an image relative to the folder, or None if it is missing or ambiguous."""
        wanted = composed(posixpath.normpath(file_name.replace("\\", "/")))
        for candidate in (wanted, f"images/{wanted}"):
            if candidate in self._by_path:
                return self._by_path[candidate]
        fitting = [
            key
            for key in self._by_name.get(posixpath.basename(wanted), [])
            if f"/{key}".endswith(f"/{wanted}") or f"/{wanted}".endswith(f"/{key}")
        ]
        return self._by_path[fitting[0]] if len(fitting) == 1 else None


def _entry_faults(entries: list[Any], part: str) -> Iterator[str]:
    needed = {"images": ("file_name",), "annotations": ("image_id", "category_id"), "categories": ("name",)}[part]
    usable, fields = [], ("id", *needed)
    for index, entry in enumerate(entries):
        if not isinstance(entry, dict) or any(name not in entry for name in fields):
            yield f"{part}[{index}]: expected an object with {', '.join(fields)}"
        elif not all(_is_id(entry[name]) if name.endswith("id") else isinstance(entry[name], str) for name in fields):
            yield f"{part}[{index}]: expected a whole number or a string as id, and a string as name"
        elif part == "images" and not _are_ids(entry.get("labels") or []):
            labels = strict_json.shown(str(entry["labels"]))
            yield f"images[{index}]: labels is {labels}; expected a list of category ids"
        else:
            usable.append(entry)
            if part == "images" and (fault := fault_in(str(PurePosixPath(entry["file_name"].replace("\\", "/"))))):
                yield f"images[{index}]: file_name {strict_json.shown(entry['file_name'])}: {fault}"
    for value, count in Counter(entry["id"] for entry in usable).items():
        if count > 1:
            yield f"{part}: id {value!r} appears {count} times"


def _is_id(value: object) -> bool:
    """Whether a value is an id; JSON does not distinguish 1 and 1.0."""
    return isinstance(value, int | str) or (isinstance(value, float) and value.is_integer())


def _are_ids(values: object) -> bool:
    return isinstance(values, list) and all(map(_is_id, values))


def _reference_faults(document: Document) -> Iterator[str]:
    images = {image["id"] for image in document["images"]}
    categories = {category["id"] for category in document["categories"]}
    for index, annotation in enumerate(document["annotations"]):
        if annotation["image_id"] not in images:
            yield f"annotations[{index}]: image_id {annotation['image_id']!r} is not among the images"
        if annotation["category_id"] not in categories:
            yield f"annotations[{index}]: category_id {annotation['category_id']!r} is not among the categories"
