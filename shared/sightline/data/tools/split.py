"""Splits a dataset of class folders, a COCO file or YOLO files into train, val and test, as a copy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from sightline.data.annotations import SplitName
from sightline.data.recording.filling import SPLITS
from sightline.data.tools.assignment import Member, SplitRule, assign, counts_of
from sightline.data.tools.coco_source import CocoSource, ImageFiles, coco_files, coco_text, read_source
from sightline.data.tools.listing import list_items, refuse
from sightline.data.tools.new_folder import copy_file, new_folder, require_new
from sightline.data.tools.yolo_source import YoloSource, find_yolo, yolo_yaml
from sightline.errors import DataError
from sightline.logs import Progress

_SPLIT_FOLDERS = {"train", "val", "valid", "test"}
_SHOWN_FILES = 5


@dataclass(frozen=True, slots=True)
class SplitSummary:
    """The result of splitting.

    Attributes:
        kind: The format of the dataset.
        images: Split -> number of images.
        classes: Class -> split -> number of images that show it.
    """

    kind: Literal["folders", "coco", "yolo"]
    images: dict[SplitName, int]
    classes: dict[str, dict[SplitName, int]]


Place = Callable[[SplitName, int], Sequence[tuple[Path, str]]]
"""The files of an image, by its split and index: source, and path in the new folder."""


def split(source: Path, out: Path, rule: SplitRule, *, dry_run: bool = False) -> SplitSummary:
    """Copy a dataset into train, val and test.

    - Class folders become ``train/<class>/``, ``val/<class>/`` and ``test/<class>/``.
    - A COCO file becomes ``train.json``, ``val.json`` and ``test.json``; images keep their paths.
    - A YOLO dataset becomes ``images/<split>/``, ``labels/<split>/`` and ``dataset.yaml``.

    Args:
        source: The folder, or the COCO file, whose images are next to it or in the folder ``images`` there.
        out: The new folder.
        rule: Fractions, seed and groups.
        dry_run: Whether only to compute the result.

    Raises:
        DataError: The dataset cannot be read, images are missing, there are fewer groups than splits, or ``out``
            exists.
        StepError: ``out`` cannot be written.
    """
    require_new(out, source if source.is_dir() else source.parent)
    if found := coco_files(source):
        if len(found) > 1:
            names = ", ".join(path.relative_to(source).as_posix() for path in found[:_SHOWN_FILES])
            raise DataError(
                f"{source} has {len(found)} COCO files ({names}), such as one for each split; give one of them"
            )
        return _split_coco(read_source(found[0]), source, out, rule, dry_run)
    if (yolo := find_yolo(source)) is not None:
        return _split_yolo(yolo, out, rule, dry_run)
    return _split_folders(source, out, rule, dry_run)


def _split_folders(source: Path, out: Path, rule: SplitRule, dry_run: bool) -> SplitSummary:
    listing = list_items(source)
    if listing.kind == "labelme":
        raise DataError(
            f"{source} has labelme files, which have no splits: record splits them itself, or convert them first with "
            "sightline dataset convert --to coco"
        )
    members = [Member(i.image, source / i.image, frozenset({PurePosixPath(i.label).name})) for i in listing.items]
    splits = assign(members, rule)
    targets = [f"{split_}/{_without_split(member.name)}" for split_, member in zip(splits, members, strict=True)]
    _refuse_collisions(targets)
    _write(out, source, lambda _, index: [(members[index].path, targets[index])], splits, {}, dry_run=dry_run)
    return _summary("folders", members, splits)


def _split_coco(coco: CocoSource, source: Path, out: Path, rule: SplitRule, dry_run: bool) -> SplitSummary:
    root = source if source.is_dir() else source.parent
    files, images = ImageFiles(root), coco.document["images"]
    found = [files.find(str(image["file_name"])) for image in images]
    refuse(
        str(coco.path),
        [
            f"{image['file_name']}: it does not exist in {root}; add it, or use sightline dataset sync"
            for image, name in zip(images, found, strict=True)
            if name is None
        ],
    )
    names, shown = coco.class_names(), coco.annotations_of()
    members = [
        Member(
            name or "",
            root / (name or ""),
            frozenset(names[one["category_id"]] for one in shown[image["id"]])
            | frozenset(names[id_] for id_ in image.get("labels") or () if id_ in names),
        )
        for image, name in zip(images, found, strict=True)
    ]
    splits = assign(members, rule)
    documents = {
        f"{one}.json": coco_text(
            coco.restricted({image["id"] for image, given in zip(images, splits, strict=True) if given == one})
        )
        for one in SPLITS
        if one in splits
    }
    _write(out, root, lambda _, index: [(members[index].path, members[index].name)], splits, documents, dry_run=dry_run)
    return _summary("coco", members, splits)


def _split_yolo(yolo: YoloSource, out: Path, rule: SplitRule, dry_run: bool) -> SplitSummary:
    shown = zip(yolo.items, yolo.classes(), strict=True)
    members = [Member(one.image, yolo.root / one.image, classes) for one, classes in shown]
    splits = assign(members, rule)
    rests = [_without_split(item.rest) for item in yolo.items]
    _refuse_collisions([f"{one}/{rest}" for one, rest in zip(splits, rests, strict=True)])

    def place(one: SplitName, index: int) -> list[tuple[Path, str]]:
        item, rest = yolo.items[index], PurePosixPath(rests[index])
        placed = [(yolo.root / item.image, f"images/{one}/{rest}")]
        if item.labels:
            placed.append((yolo.root / item.labels, f"labels/{one}/{rest.with_suffix('.txt')}"))
        return placed

    text = yolo_yaml(yolo.names, [one for one in SPLITS if one in splits], yolo.settings)
    _write(out, yolo.root, place, splits, {"dataset.yaml": text}, dry_run=dry_run)
    return _summary("yolo", members, splits)


def _without_split(name: str) -> str:
    """A path without a leading folder of a split, in case the dataset was split before."""
    first, _, rest = name.partition("/")
    return rest if first in _SPLIT_FOLDERS and rest else name


def _refuse_collisions(targets: Sequence[str]) -> None:
    twice = [name for name, count in Counter(targets).items() if count > 1]
    refuse("the new folder", [f"{name}: several images would get this path; rename them first" for name in twice])


def _write(
    out: Path, source: Path, place: Place, splits: Sequence[SplitName], texts: dict[str, str], *, dry_run: bool
) -> None:
    if dry_run:
        return
    with new_folder(out, source) as part, Progress("copy images", total=len(splits), unit="images") as progress:
        for index, one in enumerate(splits):
            for path, name in place(one, index):
                copy_file(path, part / name)
            progress.advance()
        for name, text in texts.items():
            (part / name).write_text(text, encoding="utf-8")


def _summary(
    kind: Literal["folders", "coco", "yolo"], members: Sequence[Member], splits: Sequence[SplitName]
) -> SplitSummary:
    counts = counts_of(members, splits)
    return SplitSummary(kind, counts.pop(""), counts)
