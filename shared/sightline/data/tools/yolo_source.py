"""YOLO datasets as files: images, their label files, and class names; geometry is not read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from sightline import strict_yaml
from sightline.data.folder_files import list_files
from sightline.data.tools.listing import refuse
from sightline.errors import DataError

_NUMBER_KEY = re.compile(r"((?:^|[{,])[ \t]*)(\d+)[ \t]*:(?=\s)", re.MULTILINE)
"""A class number as key, which strict YAML does not accept."""

YAML_NAMES = ("dataset.yaml", "data.yaml", "dataset.yml", "data.yml")


@dataclass(frozen=True, slots=True)
class YoloItem:
    """One image.

    Attributes:
        image: Its path relative to the root, POSIX.
        labels: Path of its label file; empty if it has none: an image without objects.
        rest: Its path below the folder ``images``.
    """

    image: str
    labels: str
    rest: str


@dataclass(frozen=True, slots=True)
class YoloSource:
    """A YOLO dataset.

    Attributes:
        root: The folder.
        items: Its images, sorted.
        names: Class number -> name.
        settings: Other settings of its YAML file that do not concern paths, such as ``kpt_shape``.
    """

    root: Path
    items: tuple[YoloItem, ...]
    names: dict[int, str]
    settings: dict[str, Any] = field(default_factory=dict)

    def classes(self) -> list[frozenset[str]]:
        """The classes of the objects of every image.

        Raises:
            DataError: Lines do not begin with a known class number; the message lists them.
        """
        faults: list[str] = []
        found = [self._read_classes(item, faults) for item in self.items]
        refuse(str(self.root), faults)
        return found

    def _read_classes(self, item: YoloItem, faults: list[str]) -> frozenset[str]:
        if not item.labels:
            return frozenset()
        lines = (self.root / item.labels).read_text(encoding="utf-8-sig", errors="replace").splitlines()
        found = set()
        for number, line in enumerate(lines, start=1):
            first = line.split()[0] if line.split() else ""
            if first.isdecimal() and int(first) in self.names:
                found.add(self.names[int(first)])
            elif first:
                faults.append(f"{item.labels}: line {number}: class {first!r} is not one of {_ranges(self.names)}")
        return frozenset(found)


def find_yolo(root: Path) -> YoloSource | None:
    """The YOLO dataset in a folder; None if it has neither a folder ``labels`` nor a dataset file.

    Raises:
        DataError: It has no images, or its dataset file cannot be used.
    """
    described = next((root / name for name in YAML_NAMES if (root / name).is_file()), None)
    found = list_files(root)
    texts = {name for name in found.files if name.endswith(".txt")}
    if described is None and not any("labels" in PurePosixPath(name).parent.parts for name in texts):
        return None
    found.require_accepted()
    items = []
    for image in found.images:
        label = label_path(image)
        items.append(YoloItem(image, label if label in texts else "", _rest(image)))
    if not items:
        raise DataError(f"{root} has no images; expected images/ and labels/")
    document = _document(described) if described is not None else {}
    names = _names(document.pop("names", None), root, texts)
    for key in ("path", "train", "val", "test", "nc", "download"):
        document.pop(key, None)
    return YoloSource(root, tuple(items), names, document)


def label_path(image: str) -> str:
    """The path of the label file of an image: the last folder ``images`` becomes ``labels``.

    Example:
        >>> label_path("images/train/a.jpg"), label_path("b.png")
        ('labels/train/a.txt', 'b.txt')
    """
    parts = list(PurePosixPath(image).with_suffix(".txt").parts)
    for index in range(len(parts) - 2, -1, -1):
        if parts[index] == "images":
            parts[index] = "labels"
            break
    return "/".join(parts)


def yolo_yaml(names: Mapping[int, str], splits: Sequence[str], settings: Mapping[str, Any]) -> str:
    """The text of ``dataset.yaml`` for images in ``images/<split>/``."""
    document = {"path": ".", **{one: f"images/{one}" for one in splits}, "names": _as_list(names), **settings}
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True)


def _ranges(numbers: Iterable[int]) -> str:
    """Numbers for a message, such as ``0-3, 7``."""
    ranges: list[list[int]] = []
    for number in sorted(numbers):
        if ranges and ranges[-1][-1] == number - 1:
            ranges[-1][1:] = [number]
        else:
            ranges.append([number])
    return ", ".join("-".join(map(str, one)) for one in ranges)


def _as_list(names: Mapping[int, str]) -> list[str]:
    return [names.get(number, str(number)) for number in range(max(names, default=-1) + 1)]


def _rest(image: str) -> str:
    parts = PurePosixPath(image).parts
    folders = [index for index, part in enumerate(parts[:-1]) if part == "images"]
    if not folders:
        return image
    before, after = parts[: folders[-1]], parts[folders[-1] + 1 :]
    return "/".join((*before, *after))


def _document(path: Path) -> dict[str, Any]:
    try:
        document = strict_yaml.decode(_NUMBER_KEY.sub(r'\1"\2":', path.read_text(encoding="utf-8-sig")))
    except (OSError, UnicodeDecodeError, strict_yaml.YamlError) as error:
        raise DataError(f"{path} cannot be read: {error}; expected names and paths of a YOLO dataset") from error
    if not isinstance(document, dict):
        raise DataError(f"{path} is not a mapping; expected names and paths of a YOLO dataset")
    return document


def _names(names: object, root: Path, texts: set[str]) -> dict[int, str]:
    if isinstance(names, list):
        names = dict(enumerate(names))
    if isinstance(names, dict) and names and all(str(number).isdecimal() for number in names):
        numbered = {int(number): "" if name is None else str(name).strip() for number, name in names.items()}
        faults = [f"class {number} has no name" for number, name in numbered.items() if not name]
        faults += [
            f"{times} classes are named {name!r}"
            for name, times in Counter(numbered.values()).items()
            if times > 1 and name
        ]
        refuse(str(root), faults)
        return numbered
    if "classes.txt" in texts:
        lines = (root / "classes.txt").read_text(encoding="utf-8-sig").splitlines()
        return {number: line.strip() for number, line in enumerate(lines) if line.strip()}
    raise DataError(f"{root} has no class names; write them to dataset.yaml: names: [cat, dog]")
