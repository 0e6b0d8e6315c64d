"""Converts a dataset to another format, as a copy, with a report of what that format cannot hold."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sightline.config.data import Data
from sightline.data.annotations import LabelledImage
from sightline.data.tools.new_folder import copy_file, new_folder, require_new
from sightline.data.tools.reading import read_dataset
from sightline.data.tools.writers.coco import write_coco
from sightline.data.tools.writers.files import WrittenDataset
from sightline.data.tools.writers.folders import write_folders
from sightline.data.tools.writers.labelme import write_labelme
from sightline.data.tools.writers.yolo import write_yolo
from sightline.errors import DataError
from sightline.logs import Progress
from sightline.plural import counted

TargetFormat = Literal["labelme", "coco", "yolo", "folders"]

WRITERS: dict[TargetFormat, Callable[[Sequence[LabelledImage], Data], WrittenDataset]] = {
    "labelme": write_labelme,
    "coco": write_coco,
    "yolo": write_yolo,
    "folders": write_folders,
}


@dataclass(frozen=True, slots=True)
class Converted:
    """The result of a conversion.

    Attributes:
        images: Number of images.
        objects: Number of objects in the source.
        classes: The classes in their order.
        losses: What the format cannot hold, or the fault policies left out -> number of objects or images.
    """

    images: int
    objects: int
    classes: tuple[str, ...]
    losses: dict[str, int]


def convert(
    source: Path,
    out: Path,
    to: TargetFormat,
    data: Data,
    *,
    classes_known: bool,
    max_loss: int = 0,
    dry_run: bool = False,
) -> Converted:
    """Write a dataset in another format to a new folder, with copies of its images.

    Args:
        source: The folder, of any format.
        out: The new folder.
        to: The format to write.
        data: Classes, label sets, keypoints, fault policies.
        classes_known: Whether ``data`` has the classes; if not, they are those of the dataset.
        max_loss: Maximum number of objects and images of which something is lost.
        dry_run: Whether only to compute the result.

    Raises:
        DataError: The source has faults, more is lost than ``max_loss``, or ``out`` exists.
        StepError: ``out`` cannot be written.
    """
    require_new(out, source)
    with _without_collection():
        annotations, data = read_dataset(source, data, classes_known=classes_known)
        written = WRITERS[to](annotations.images, data)
    losses = {f"{kind.replace('_', ' ')} (data.faults.{kind})": n for kind, n in annotations.dropped.items()}
    losses |= {what: number for what, number in written.losses.items() if number}
    total = sum(losses.values())
    if total > max_loss and not dry_run:
        listed = "\n".join(f"  {what}: {number:,}" for what, number in losses.items())
        raise DataError(
            f"{source}: as {to}, {counted(total, 'loss', 'losses')}, more than the {max_loss:,} allowed; nothing was "
            f"written:\n{listed}\n"
            f"accept them with --max-loss {total}, or choose another format"
        )
    if not dry_run:
        _write(source, out, written)
    objects = sum(len(image.instances) for image in annotations.images)
    return Converted(len(written.images), objects, data.classes, losses)


@contextmanager
def _without_collection() -> Iterator[None]:
    """Pause the search for reference cycles: there are none in annotations, and it takes a third of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _write(source: Path, out: Path, written: WrittenDataset) -> None:
    with new_folder(out, source) as part, Progress("copy images", total=len(written.images), unit="images") as progress:
        for name, image in written.images.items():
            if image.embedded is None:
                copy_file(source / image.image, part / name)
            else:
                (part / name).parent.mkdir(parents=True, exist_ok=True)
                (part / name).write_bytes(image.embedded)
            progress.advance()
        folders = {(part / name).parent for name in written.texts}
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
        for name, text in written.texts.items():
            (part / name).write_text(text, encoding="utf-8")
