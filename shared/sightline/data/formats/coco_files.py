"""Reads COCO files: objects with polygons, masks or boxes, keypoints, or classes of whole images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import ValidationError

from sightline import strict_json
from sightline.config.data import Data
from sightline.config.labels import SINGLE_SET, Keypoints
from sightline.data.annotations import Annotations, Fault
from sightline.data.folder_files import list_files
from sightline.data.formats.coco_entries import Category, category_faults, has_region, object_of
from sightline.data.formats.image_index import ImageIndex, Place, folder_hints
from sightline.data.formats.image_reader import AnnotatedImage, ImageReader
from sightline.data.formats.joining import Found, join_readings
from sightline.data.formats.objects import AnnotatedObject
from sightline.data.formats.parallel import read_all
from sightline.data.formats.split_names import split_in, split_of_folders
from sightline.errors import DataError

PARTS = ("images", "annotations", "categories")
"""The lists of a COCO file."""

_AGAIN = "correct it, or export the annotations again"


def read_folder(root: Path, data: Data, *, classes_known: bool = True) -> Annotations:
    """Read every COCO file below a folder, with the images.

    Categories are matched by name, so any ids are allowed.  The name of a file, or that of its folder, may name the
    split: ``annotations/instances_val2017.json``.

    Args:
        root: The folder; no file outside is opened.
        data: Classes, label sets, keypoints, fault policies, limits.
        classes_known: Whether names of categories are checked against ``data.classes``.

    Raises:
        DataError: The folder has no JSON file.
    """
    files = list_files(root)
    names = coco_files(root, files.annotation_files) or [n for n in files.annotation_files if n not in files.refused]
    if not names:
        raise DataError(f"{root} has no COCO file (.json); export the annotations as COCO")
    index = ImageIndex(files)
    documents = [CocoFile(root, name, data, index, classes_known=classes_known) for name in names]
    items = [item for document in documents for item in document.images]
    readings = read_all(
        ImageReader(root, data, classes_known=classes_known).read, items, root, data.jobs, unit="images"
    )
    found = Found(
        "coco",
        len(documents),
        len(set(index.images) - {item.image for item in items}),
        tuple(fault for document in documents for fault in document.faults),
        next((one.keypoints for one in documents if one.keypoints.names), Keypoints()),
        table=names[0],
        classes=documents[0].classes if len(documents) == 1 else (),
    )
    return join_readings(readings, found, data, classes_known=classes_known)


def coco_files(root: Path, names: Iterable[str]) -> list[str]:
    """The JSON files with the lists of a COCO file; only their names are looked for."""
    return [name for name in names if is_coco(root / name)]


def is_coco(path: Path) -> bool:
    """Whether a file mentions the lists of a COCO file."""
    try:
        if not path.is_file() or path.stat().st_size > strict_json.MAX_BYTES:
            return False
        content = path.read_bytes()
    except OSError:
        return False
    return all(f'"{part}"'.encode() in content for part in ("images", "categories"))


class CocoFile:
    """One COCO file.

    Args:
        root: The annotation folder.
        file: Path of the file relative to it.
        data: Classes, label sets, keypoints.
        index: The images of the folder.
        classes_known: Whether ``data.label_sets`` is meant.

    Attributes:
        images: Its images.
        faults: The faults that concern no image.
        keypoints: The keypoints that its categories declare.
        classes: The names of its categories, ordered by id.
    """

    def __init__(self, root: Path, file: str, data: Data, index: ImageIndex, *, classes_known: bool) -> None:
        self._file, self._index, self._hints = file, index, folder_hints(file)
        self._classes_known = classes_known
        self._label_sets = data.label_sets if classes_known else {}
        self._names = data.keypoints.names if classes_known else ()
        self._labels_images = False
        path = PurePosixPath(file)
        self._split = split_in(path.stem) or split_of_folders(path.parts[:-1])
        self.images: list[AnnotatedImage] = []
        self.faults: list[Fault] = []
        self.keypoints = Keypoints()
        self.classes: tuple[str, ...] = ()
        document = self._document(root / file)
        if document is not None:
            self._read(document)

    def _document(self, path: Path) -> Mapping[str, Any] | None:
        try:
            document = strict_json.decode(path.read_bytes(), finite=False)
        except (OSError, strict_json.JsonError) as error:
            self.faults.append(Place(self._file).fault("broken_json", str(error), _AGAIN))
            return None
        if not isinstance(document, dict):
            self.faults.append(Place(self._file).fault("broken_json", "expected an object with 'images'", _AGAIN))
            return None
        wrong = [part for part in PARTS if not isinstance(document.get(part), list)]
        if wrong:
            reason = f"no list {', '.join(map(repr, wrong))}, so this is not a COCO file"
            self.faults.append(Place(self._file).fault("broken_json", reason, _AGAIN))
            return None
        return document

    def _read(self, document: Mapping[str, Any]) -> None:
        categories = self._categories(document["categories"])
        entries = [entry for entry in document["annotations"] if isinstance(entry, dict)]
        # A few objects whose boxes are missing do not make a detection dataset one of labels.
        self._labels_images = not self._classes_known and 2 * sum(map(has_region, entries)) < len(entries)
        sets = _sets_of_categories(document)
        images = self._by_id("images", document["images"], "image")
        annotations: dict[object, list[tuple[Place, Mapping[str, Any], Category]]] = {id_: [] for id_ in images}
        for place, annotation in self._by_id("annotations", document["annotations"], "annotation").values():
            category = categories.get(_id(annotation.get("category_id")))
            of_image = annotations.get(_id(annotation.get("image_id")))
            if of_image is None:
                reason = f"image_id {annotation.get('image_id')!r} is not among the images"
                self.faults.append(place.fault("broken_row", reason, "correct it or delete the annotation"))
            elif category is None:
                reason = f"category_id {annotation.get('category_id')!r} is not among the categories"
                self.faults.append(place.fault("broken_row", reason, "correct it, or add the category"))
            else:
                of_image.append((place, annotation, category))
        names = {id_: category.name for id_, category in categories.items()}
        self.classes = tuple(names[id_] for id_ in sorted(names, key=lambda id_: str(id_).zfill(9)))
        for id_, (place, image) in images.items():
            self._image(place, image, annotations[id_], names, sets)

    def _image(
        self,
        place: Place,
        image: Mapping[str, Any],
        annotations: Sequence[tuple[Place, Mapping[str, Any], Category]],
        names: Mapping[object, str],
        sets: Mapping[str, str],
    ) -> None:
        file_name = image.get("file_name")
        if not isinstance(file_name, str) or not file_name:
            self.faults.append(place.fault("broken_row", "the image has no 'file_name'", _AGAIN))
            return
        found, fault = self._index.find(file_name, place, self._hints)
        listed = image.get("labels")
        ids = listed if isinstance(listed, list) and (self._label_sets or not self._classes_known) else []
        whole = [names[_id(one)] for one in ids if _id(one) in names]
        objects: list[AnnotatedObject] = []
        for where, annotation, category in annotations:
            if self._label_sets or (self._labels_images and not has_region(annotation)):
                whole.append(category.name)
            else:
                objects.append(object_of(annotation, category, self._names, where))
        group = image.get("group")
        self.images.append(
            AnnotatedImage(
                place,
                found,
                _size(image),
                tuple(objects),
                self._by_set(whole, sets),
                group if isinstance(group, str) else "",
                self._split,
                () if fault is None else (fault,),
            )
        )

    def _categories(self, entries: Sequence[Any]) -> dict[object, Category]:
        found: dict[object, Category] = {}
        for id_, (place, entry) in self._by_id("categories", entries, "category").items():
            name, keypoints = entry.get("name"), entry.get("keypoints") or []
            if not isinstance(name, str) or not name.strip():
                reason = f"'name' is {str(name)[:40]!r}, expected a name" if name else "the category has no 'name'"
                self.faults.append(place.fault("broken_row", reason, _AGAIN))
                continue
            if not isinstance(keypoints, list) or not all(isinstance(one, str) for one in keypoints):
                self.faults.append(place.fault("broken_row", "'keypoints' is not a list of names", _AGAIN))
                continue
            found[id_] = Category(name, tuple(keypoints))
            self.faults += category_faults(found[id_], self._names, place)
            if keypoints and not self.keypoints.names:
                self.keypoints = declared_keypoints(entry)
        return found

    def _by_id(self, part: str, entries: Sequence[Any], noun: str) -> dict[object, tuple[Place, Mapping[str, Any]]]:
        """The entries of a list by id; a faulty or second one is a fault."""
        found: dict[object, tuple[Place, Mapping[str, Any]]] = {}
        for index, entry in enumerate(entries):
            id_ = _id(entry.get("id")) if isinstance(entry, dict) else None
            if id_ is not None and id_ not in found:
                found[id_] = Place(self._file, f"{noun} {id_}"), entry
                continue
            place = Place(self._file, f"{part}[{index}]")
            if not isinstance(entry, dict):
                self.faults.append(place.fault("broken_row", "the entry is not an object", _AGAIN))
            elif id_ is None and part != "annotations":
                reason = f"the id is {entry.get('id')!r}, expected a whole number"
                self.faults.append(place.fault("broken_row", reason, _AGAIN))
            elif id_ is not None:
                reason = f"id {id_} belongs to {found[id_][0].entry}, too"
                self.faults.append(place.fault("broken_row", reason, "give every entry its own id"))
            else:
                found[place.entry] = place, entry
        return found

    def _by_set(self, names: Iterable[str], sets: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
        """The names of classes of the whole image by label set."""
        by_set: dict[str, dict[str, None]] = {name: {} for name in self._label_sets}
        for name in names:
            label_set, _, rest = name.partition("/")
            if len(self._label_sets) == 1:
                label_set, rest = next(iter(self._label_sets)), name
            elif not rest or (self._label_sets and label_set not in self._label_sets):
                fitting = [key for key, labels in self._label_sets.items() if name in labels.classes]
                label_set, rest = next(iter([*fitting, *self._label_sets, sets.get(name, SINGLE_SET)])), name
            by_set.setdefault(label_set, {})[rest] = None
        return {label_set: tuple(found) for label_set, found in by_set.items()}


def declared_keypoints(category: Mapping[str, Any]) -> Keypoints:
    """The keypoints of a category, as for ``data.keypoints``; none if it is inconsistent."""
    names = category["keypoints"]
    try:
        return Keypoints.model_validate({
            "names": names,
            "skeleton": [[names[one - 1], names[other - 1]] for one, other in category.get("skeleton") or []],
            "flip_pairs": mirrored_names(names),
            "supercategory": category.get("supercategory") or "",
        })  # fmt: skip
    except (ValidationError, ValueError, TypeError, IndexError):
        return Keypoints()


def mirrored_names(names: Sequence[str]) -> list[list[str]]:
    """Pairs of keypoints whose names differ only in left and right.

    Example:
        >>> mirrored_names(["nose", "left_eye", "right_eye"])
        [['left_eye', 'right_eye']]
    """
    pairs = [(name, name.replace("left", "right").replace("Left", "Right")) for name in names]
    return [[name, other] for name, other in pairs if other != name and other in names]


def _sets_of_categories(document: Mapping[str, Any]) -> dict[str, str]:
    """Name of a category -> label set, in a document that record wrote."""
    names = {_id(entry.get("id")): entry.get("name") for entry in document["categories"] if isinstance(entry, dict)}
    found: dict[str, str] = {}
    listed = document.get("label_sets")
    for one in listed if isinstance(listed, list) else []:
        ids = one.get("category_ids") if isinstance(one, dict) else None
        for id_ in ids if isinstance(ids, list) else []:
            found[str(names.get(_id(id_)))] = str(one.get("name"))
    return found


def _id(value: object) -> int | str | None:
    """An id; None if the value cannot be one.  JSON does not distinguish 1 and 1.0, and some tools write the latter."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int | str) and not isinstance(value, bool) else None


def _size(image: Mapping[str, Any]) -> tuple[int, int] | None:
    width, height = image.get("width"), image.get("height")
    if isinstance(width, int) and isinstance(height, int) and width > 0 and height > 0:
        return width, height
    return None
