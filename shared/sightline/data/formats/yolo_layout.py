"""The layout of YOLO data sets: ``dataset.yaml``, its splits, and the label file of each image."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from sightline import strict_yaml
from sightline.config.labels import Keypoints
from sightline.data.annotations import Fault, SplitName
from sightline.data.folder_files import FolderFiles, first_names, shown, suffix_of
from sightline.data.formats.image_index import ImageIndex, Place, is_absolute, shown_path
from sightline.data.formats.split_names import split_named, split_of_folders

YAML_NAMES = ("dataset.yaml", "data.yaml", "dataset.yml", "data.yml")
"""Preferred names of the file that describes a data set."""

CLASSES_FILE = "classes.txt"
"""A list of class names, one a line, if there is no YAML file."""

IMAGES, LABELS = "images", "labels"

_AGAIN = "correct the file"
_MAX_BYTES = 1_000_000
_MAX_LIST_BYTES = 256 * 1024**2


@dataclass(frozen=True, slots=True)
class YoloImage:
    """One image and its label file, relative to the folder; the split may be unknown."""

    image: str
    label_file: str
    split: SplitName | None


@dataclass(frozen=True, slots=True)
class YoloDescription:
    """What the YAML file says.

    Attributes:
        file: The file; empty if there is none.
        names: Class names in the order of their numbers; empty if they are unknown.
        keypoints: The keypoints of every object; none if objects have none.
        values_per_keypoint: 2 for x and y, or 3 with the visibility.
        named_keypoints: Whether the names of the keypoints are those of the file.
        splits: Split -> folders or lists of images, as written.
        path: The folder of the splits, as written.
        faults: The faults of the file.
    """

    file: str = ""
    names: tuple[str, ...] = ()
    keypoints: Keypoints = field(default_factory=Keypoints)
    values_per_keypoint: int = 3
    named_keypoints: bool = False
    splits: Mapping[SplitName, Sequence[str]] | None = None
    path: str = ""
    faults: tuple[Fault, ...] = ()


def describing_file(root: Path, files: FolderFiles) -> str:
    """The YAML file at the top of a folder that names classes; empty if there is none."""
    names = [name for name in files.files if "/" not in name and suffix_of(name) in (".yaml", ".yml")]
    ordered = sorted(names, key=lambda name: (YAML_NAMES.index(name) if name in YAML_NAMES else len(YAML_NAMES), name))
    return next((name for name in ordered if name in YAML_NAMES or "names" in (_mapping(root / name)[0] or ())), "")


def describe(root: Path, files: FolderFiles) -> YoloDescription:
    """Read the YAML file of a folder, or its list of class names."""
    file = describing_file(root, files)
    if not file:
        lists = [name for name in files.files if PurePosixPath(name).name == CLASSES_FILE]
        lines = _lines(root / lists[0]) if lists else []
        return YoloDescription(names=tuple(line.strip() for line in lines if line.strip()))
    document, reason = _mapping(root / file)
    if document is None:
        return YoloDescription(file, faults=(Place(file).fault("broken_row", reason, _AGAIN),))
    faults: list[Fault] = []
    names = _names(document.get("names"), document.get("nc"), Place(file, "names"), faults)
    keypoints, values, named = _keypoints(document, Place(file, "kpt_shape"), faults)
    splits: dict[SplitName, Sequence[str]] = {}
    for key, value in document.items():
        split = split_named(key) if isinstance(key, str) else None
        if split is not None and value:
            listed = value if isinstance(value, list) else [value]
            splits[split] = [one for one in listed if isinstance(one, str) and one]
            for one in listed:
                if not isinstance(one, str) or not one:
                    reason = f"{one!r} is not a path, expected a folder or a list of images"
                    faults.append(Place(file, split).fault("broken_row", reason, _AGAIN))
    path = document.get("path")
    return YoloDescription(
        file, names, keypoints, values, named, splits or None, path if isinstance(path, str) else "", tuple(faults)
    )


class Pairing:
    """Finds the images of the splits and their label files.

    Args:
        root: The folder.
        files: Its files.
        index: Its images.
        description: What the YAML file says.

    Attributes:
        images: The images with a label file.
        unlabelled: Number of images without one, or in no split.
        faults: The faults of splits and label files.
    """

    def __init__(self, root: Path, files: FolderFiles, index: ImageIndex, description: YoloDescription) -> None:
        self._root, self._files, self._index, self._description = root, frozenset(files.files), index, description
        self.faults: list[Fault] = []
        splits = self._splits()
        texts = {name for name in files.files if suffix_of(name) == ".txt"}
        pairs = [(image, label_file(image)) for image in sorted(splits)]
        self.images = [YoloImage(image, text, splits[image]) for image, text in pairs if text in texts]
        self.unlabelled = len(index.images) - len(self.images)
        self.faults += _shared_label_files(self.images)
        for text in sorted(texts - {label_file(image) for image in index.images}):
            if LABELS in text.split("/")[:-1] and PurePosixPath(text).name != CLASSES_FILE:
                reason, remedy = "no image has the name of this label file", "add the image, or remove the label file"
                self.faults.append(Place(text).fault("missing_image", reason, remedy))

    def _splits(self) -> Mapping[str, SplitName | None]:
        """Image -> its split."""
        if self._description.splits is None:
            return {image: split_of_folders(image.split("/")[:-1]) for image in self._index.images}
        splits: dict[str, SplitName | None] = {}
        for split, folders in self._description.splits.items():
            listed = list(dict.fromkeys(image for one in folders for image in self._listed(one, split)))
            twice = [image for image in listed if image in splits]
            if twice:
                reason = f"{first_names(twice, 'image')} of {split} belong to {splits[twice[0]]}, too"
                place = Place(self._description.file, split)
                self.faults.append(place.fault("duplicate_image", reason, "give every split its own images"))
            splits = {**dict.fromkeys(listed, split), **splits}
        return splits

    def _listed(self, written: str, split: SplitName) -> Iterator[str]:
        """The images of one folder or list; paths of data sets that were moved fit by their end."""
        for candidate in _candidates(self._description.path, written):
            if candidate in self._files and suffix_of(candidate) == ".txt":
                yield from self._of_list(candidate, split)
                return
            prefix = "" if candidate == "." else f"{candidate}/"
            inside = [image for image in self._index.images if image.startswith(prefix)]
            if inside:
                yield from inside
                return
        reason = f"{shown_path(written)} is not a folder with images, nor a list of images"
        place = Place(self._description.file, split)
        self.faults.append(place.fault("broken_row", reason, "correct the path, or remove the split"))

    def _of_list(self, file: str, split: SplitName) -> Iterator[str]:
        lines = [(number, line.strip()) for number, line in enumerate(_lines(self._root / file), start=1)]
        if not any(line for _, line in lines):
            remedy = "write the path of an image on every line, or remove the split"
            self.faults.append(Place(file).fault("broken_row", "the list names no image", remedy))
        for number, line in lines:
            moved = self._index.find_moved(line) if is_absolute(line) else None
            found, fault = (moved, None) if moved else self._index.find(line, Place(file, f"line {number}"), [split])
            if line and fault is not None:
                self.faults.append(fault)
            elif found is not None:
                yield found


def _shared_label_files(images: Sequence[YoloImage]) -> Iterator[Fault]:
    """A fault for each label file that belongs to several images, such as ``a.jpg`` and ``a.png``."""
    first: dict[str, str] = {}
    for one in images:
        if (other := first.setdefault(one.label_file, one.image)) != one.image:
            reason = f"it belongs to {shown(other)} and to {shown(one.image)}"
            remedy = "rename one of the images, and write a label file for it"
            yield Place(one.label_file).fault("duplicate_image", reason, remedy)


def label_file(image: str) -> str:
    """The label file of an image: in ``labels`` instead of the last ``images``, or beside it if there is none.

    Example:
        >>> label_file("images/train/a.jpg"), label_file("train/a.jpg")
        ('labels/train/a.txt', 'train/a.txt')
    """
    parts = image.split("/")
    folders, name = parts[:-1], PurePosixPath(parts[-1]).with_suffix(".txt").name
    for depth in reversed(range(len(folders))):
        if folders[depth] == IMAGES:
            folders[depth] = LABELS
            break
    return "/".join([*folders, name])


def _candidates(path: str, written: str) -> Iterator[str]:
    """Paths relative to the folder that may be meant, most likely first."""
    if not written.startswith("/") and path and not path.startswith("/"):
        yield posixpath.normpath(posixpath.join(path, written))
    parts = [part for part in written.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    yield from ("/".join(parts[start:]) for start in range(len(parts)))
    if not parts:
        yield "."


def _lines(path: Path) -> list[str]:
    """The lines of a text; of a huge one, the first."""
    with path.open("rb") as stream:
        return stream.read(_MAX_LIST_BYTES).decode("utf-8-sig", "replace").splitlines()


def _mapping(path: Path) -> tuple[dict[Any, Any] | None, str]:
    try:
        if path.stat().st_size > _MAX_BYTES:
            return None, f"it has more than {_MAX_BYTES:,} bytes"
        document = strict_yaml.decode(path.read_text(encoding="utf-8-sig"), numbers_as_keys=True)
    except (OSError, UnicodeDecodeError, strict_yaml.YamlError) as error:
        return None, f"it is not YAML ({error})"
    return (document, "") if isinstance(document, dict) else (None, "it is not a mapping with 'names'")


def _names(value: object, count: object, place: Place, faults: list[Fault]) -> tuple[str, ...]:
    if isinstance(value, dict):
        keys = [int(key) if str(key).isdigit() else -1 for key in value]
        if sorted(keys) != list(range(len(keys))):
            reason = f"the numbers of the classes are {', '.join(map(str, value))}, expected 0 to {len(keys) - 1}"
            faults.append(place.fault("broken_row", reason, _AGAIN))
            return ()
        value = [name for _, name in sorted(zip(keys, value.values(), strict=True))]
    if not isinstance(value, list) or not value:
        faults.append(place.fault("broken_row", "'names' is not a list of class names", _AGAIN))
        return ()
    unnamed = [number for number, name in enumerate(value) if name is None or not str(name).strip()]
    if unnamed:
        reason = f"class {unnamed[0]} has no name"
        faults.append(place.fault("broken_row", reason, "name every class"))
    twice = [name for name, times in Counter(map(str, value)).items() if times > 1 and name.strip()]
    if twice:
        reason = f"several classes have the name {', '.join(map(repr, twice))}"
        faults.append(place.fault("broken_row", reason, "give every class its own name"))
    if count is not None and count != len(value):
        reason = f"nc is {count}, but there are {len(value)} names"
        faults.append(place.fault("broken_row", reason, "correct nc, or complete the names"))
    return tuple(str(name) for name in value)


def _keypoints(document: Mapping[Any, Any], place: Place, faults: list[Fault]) -> tuple[Keypoints, int, bool]:
    shape = document.get("kpt_shape")
    if shape is None:
        return Keypoints(), 3, False
    if not (
        isinstance(shape, list) and len(shape) == 2 and all(type(n) is int for n in shape)
        and 0 < shape[0] <= 1000 and shape[1] in (2, 3)
    ):  # fmt: skip
        reason = f"kpt_shape is {shape!r}, expected [number of keypoints, 2 or 3]"
        faults.append(place.fault("broken_row", reason, _AGAIN))
        return Keypoints(), 3, False
    count, values = shape
    listed = document.get("kpt_names")
    given = next(iter(listed.values()), None) if isinstance(listed, dict) else listed
    named = isinstance(given, list) and len({*map(str, given)}) == len(given) == count
    names = tuple(map(str, given)) if named and given else tuple(f"keypoint_{number + 1}" for number in range(count))
    flips = document.get("flip_idx")
    is_order = isinstance(flips, list) and sorted(flips, key=str) == sorted(range(count), key=str)
    if flips is not None and not is_order:
        reason = f"flip_idx is {str(flips)[:60]}, expected the numbers 0 to {count - 1} in another order"
        faults.append(Place(place.file, "flip_idx").fault("broken_row", reason, _AGAIN))
    order = flips if is_order and flips else range(count)
    pairs = tuple((names[one], names[other]) for one, other in enumerate(order) if one < other)
    return Keypoints(names=names, flip_pairs=pairs), values, bool(named)
