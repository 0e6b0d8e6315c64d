"""Crops objects to class folders: every crop has the target size, and the object keeps its aspect ratio."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal, TypeVar

from PIL import Image

from sightline.config.data import Data
from sightline.data.annotations import Annotations, LabelledImage
from sightline.data.folder_files import list_files
from sightline.data.images import UnreadableImageError, read_image
from sightline.data.tools.class_folder import folder_names
from sightline.data.tools.new_folder import new_folder, require_new
from sightline.data.tools.reading import read_dataset
from sightline.data.tools.writers.files import distinct
from sightline.errors import DataError
from sightline.logs import Progress
from sightline.plural import counted

Padding = Literal["context", "black"]
Box = tuple[float, float, float, float]
"""``(left, top, right, bottom)`` in pixels."""

Detect = Callable[[Image.Image], Sequence[tuple[str, Box]]]
"""Finds the objects of an RGB image: class name and box of each."""

Item = TypeVar("Item")

_QUALITY = 95
_MAX_STEM_BYTES = 200
"""Of the path of an image in the names of its crops, so that every file system takes them."""


@dataclass(frozen=True, slots=True)
class _Target:
    """Where the crops of an image are written: the folder of class folders, and the file name with ``{}``."""

    folder: Path
    name: str


@dataclass(frozen=True, slots=True)
class CropRule:
    """The form of the crops.

    Attributes:
        width: Width of every crop, pixels.
        height: Height of every crop, pixels.
        padding: What surrounds the object: ``context``, its surroundings in the image (black beyond the image), or
            ``black``.
        scale: The share of the crop's width or height that the object fills, whichever it reaches first; above 0, at
            most 1.
    """

    width: int
    height: int
    padding: Padding = "context"
    scale: float = 1.0

    def __post_init__(self) -> None:
        if not (1 <= self.width <= 10_000 and 1 <= self.height <= 10_000):
            raise DataError(f"size {self.width}x{self.height}; expected a width and height from 1 to 10000 pixels")
        if not 0 < self.scale <= 1:
            raise DataError(f"scale {self.scale:g}; expected a number above 0, at most 1")


@dataclass
class Cropped:
    """The result of cropping.

    Attributes:
        crops: Class -> number of crops.
        failures: What could not be cropped, with the reason.
    """

    crops: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


def crop_annotated(
    source: Path, out: Path, rule: CropRule, data: Data, *, classes_known: bool, dry_run: bool = False
) -> Cropped:
    """Crop every annotated object to ``<class>/``, or ``<split>/<class>/`` if images have splits.

    Args:
        source: Annotations of any format; faults of images are listed, those of shapes stop as in record.
        out: The new folder.
        rule: The form of the crops.
        data: Classes, fault policies, ``data.jobs`` for the number of images that are cropped at once.
        classes_known: Whether ``data`` has the classes; if not, they are those of the dataset.
        dry_run: Whether to crop without writing.

    Raises:
        DataError: The source has faults, no image or no object, a class cannot be the name of a folder, or ``out``
            exists.
        StepError: ``out`` cannot be written.
    """
    require_new(out, source)
    faults = data.faults.model_copy(update={"broken_image": "drop", "missing_image": "drop"})
    data = data.model_copy(update={"faults": faults})
    annotations, data = read_dataset(source, data, classes_known=classes_known)

    folder_names(one.label for image in annotations.images for one in image.instances)
    images = [image for image in annotations.images if image.instances]
    if annotations.images and not images and not annotations.left_out:
        raise DataError(
            f"{source} has no objects to crop: {counted(len(annotations.images), 'image')} without a box or an outline "
            f"({annotations.format}); give a detector (--detector MODEL), or a dataset with objects"
        )
    names = _file_names([image.image for image in images])

    def work(image: LabelledImage, folder: Path | None) -> Cropped:
        objects = [(one.label, _corners(one.bbox)) for one in image.instances]
        content: Path | bytes = source / image.image if image.embedded is None else image.embedded
        target = None if folder is None else _Target(folder / (image.split or ""), names[image.image])
        return _crop_image(image.image, content, objects, rule, max_pixels=data.max_pixels, target=target)

    result = _crop_all(source, out, images, work, jobs=data.jobs, dry_run=dry_run)
    result.failures = [*_unread(annotations, data), *result.failures]
    return result


def crop_detected(
    source: Path, out: Path, rule: CropRule, detect: Detect, *, max_pixels: int, dry_run: bool = False
) -> Cropped:
    """Crop every object that a detector finds in the images of a folder to ``<class>/``.

    Args:
        source: A folder with images; annotations are not read.
        out: The new folder.
        rule: The form of the crops.
        detect: The detector.
        max_pixels: Larger images are failures.
        dry_run: Whether to detect and crop without writing.

    Raises:
        DataError: The source has no image, a class cannot be the name of a folder, or ``out`` exists.
        StepError: ``out`` cannot be written.
    """
    require_new(out, source)
    images = list_files(source).images
    if not images:
        raise DataError(f"{source} has no images; give the folder that contains them")

    names = _file_names(images)

    def work(name: str, folder: Path | None) -> Cropped:
        target = None if folder is None else _Target(folder, names[name])
        return _crop_image(name, source / name, detect, rule, max_pixels=max_pixels, target=target)

    return _crop_all(source, out, images, work, jobs=1, dry_run=dry_run)


def cropped(image: Image.Image, box_xyxy: Box, rule: CropRule) -> Image.Image:
    """One crop; its size is that of the rule, and the object is in its middle.

    Args:
        image: RGB.
        box_xyxy: The box of the object, pixels; right and bottom must exceed left and top.
        rule: The form of the crop.

    Example:
        >>> cropped(Image.new("RGB", (400, 400), "white"), (0, 100, 400, 300), CropRule(224, 224, "black", 0.8)).size
        (224, 224)
    """
    left, top, right, bottom = box_xyxy
    factor = rule.scale * min(rule.width / (right - left), rule.height / (bottom - top))
    x, y = (left + right) / 2, (top + bottom) / 2
    across, down = rule.width / factor / 2, rule.height / factor / 2
    window = (x - across, y - down, x + across, y + down)
    shown = window if rule.padding == "context" else box_xyxy
    inside = (max(shown[0], 0.0), max(shown[1], 0.0), min(shown[2], image.width), min(shown[3], image.height))
    target = (
        min(max(round((inside[0] - window[0]) * factor), 0), rule.width - 1),
        min(max(round((inside[1] - window[1]) * factor), 0), rule.height - 1),
    )
    size = (
        min(max(round((inside[2] - inside[0]) * factor), 1), rule.width - target[0]),
        min(max(round((inside[3] - inside[1]) * factor), 1), rule.height - target[1]),
    )
    canvas = Image.new("RGB", (rule.width, rule.height))
    canvas.paste(image.resize(size, Image.Resampling.BICUBIC, inside, reducing_gap=3.0), target)
    return canvas


def _corners(bbox: Box) -> Box:
    x, y, width, height = bbox
    return x, y, x + width, y + height


def _unread(annotations: Annotations, data: Data) -> list[str]:
    """The images and objects that the fault policies leave out."""
    kinds = {kind for kind, policy in data.faults.model_dump().items() if policy == "drop"} - {"missing_label"}
    return [str(fault) for fault in annotations.faults if fault.kind in kinds]


def _crop_all(
    source: Path,
    out: Path,
    items: Iterable[Item],
    work: Callable[[Item, Path | None], Cropped],
    *,
    jobs: int,
    dry_run: bool,
) -> Cropped:
    items = list(items)
    if dry_run:
        return _joined(items, work, None, jobs)
    with new_folder(out, source) as part:
        return _joined(items, work, part, jobs)


def _joined(
    items: Sequence[Item], work: Callable[[Item, Path | None], Cropped], folder: Path | None, jobs: int
) -> Cropped:
    """Threads suffice: Pillow decodes, resizes and encodes without Python's lock."""
    result = Cropped()
    with ThreadPoolExecutor(jobs) as pool, Progress("crop objects", total=len(items), unit="images") as progress:
        for one in pool.map(lambda item: work(item, folder), items):
            result.crops.update(one.crops)
            result.failures += one.failures
            progress.advance()
    return result


def _crop_image(
    name: str,
    content: Path | bytes,
    objects: Sequence[tuple[str, Box]] | Detect,
    rule: CropRule,
    *,
    max_pixels: int,
    target: _Target | None,
) -> Cropped:
    """Decode one image and write the crops of its objects."""
    result = Cropped()
    try:
        image = read_image(content, max_pixels)
    except UnreadableImageError as error:
        result.failures.append(f"{name}: {error.reason}")
        return result
    found = objects(image) if callable(objects) else objects
    if callable(objects) and not found:
        result.failures.append(f"{name}: no object was detected")
    for number, (label, box) in enumerate(found, start=1):
        left, top, right, bottom = _clipped(box, image.size)
        if right - left < 1 or bottom - top < 1:
            result.failures.append(f"{name}: object {number} ({label}) has less than a pixel in the image")
            continue
        crop = cropped(image, (left, top, right, bottom), rule)
        result.crops[label] += 1
        folder = folder_names([label])[label]
        if target is not None:
            _save(crop, target.folder / folder / target.name.format(number))
    return result


def _clipped(box: Box, size: tuple[int, int]) -> Box:
    left, top, right, bottom = box
    return max(left, 0.0), max(top, 0.0), min(right, float(size[0])), min(bottom, float(size[1]))


def _file_names(images: Sequence[str]) -> dict[str, str]:
    """Image -> the name of its crops, with ``{}`` for the number of the object; no two images have the same."""
    taken: set[str] = set()
    names = {}
    for image in images:
        suffix = ".jpg" if PurePosixPath(image).suffix.lower() in (".jpg", ".jpeg", ".jpe", ".jfif") else ".png"
        flat = image.replace("/", "_").encode()[-_MAX_STEM_BYTES:].decode(errors="ignore")
        names[image] = distinct(flat, taken).replace("{", "{{").replace("}", "}}") + "-{}" + suffix
    return names


def _save(crop: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".jpg":
        crop.save(path, quality=_QUALITY)
    else:
        crop.save(path, compress_level=1)
