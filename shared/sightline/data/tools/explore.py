"""Statistics of a dataset: classes, sizes, positions, brightness, co-occurrence, near-duplicates and samples."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageStat

from sightline.config.data import Data
from sightline.data.annotations import Instance, LabelledImage
from sightline.data.images import read_image, read_reduced
from sightline.data.recording.fingerprint import tie_images
from sightline.data.tools.crop import CropRule, cropped
from sightline.data.tools.reading import describe_dataset
from sightline.logs import Progress

GRID = 16
"""Rows and columns of the map of positions."""

_BRIGHTNESS_SIDE = 64
_THUMBNAIL = 144
_SAMPLES = 6
_SAMPLED_CLASSES = 60
_EXTREMES = 6
_GROUPS = 30
_ASPECTS = (0.0, 0.25, 0.4, 0.55, 0.7, 0.85, 1.0, 1.2, 1.45, 1.8, 2.5, 4.0)
"""Edges of the histograms of aspect ratios, width / height; the last bin has no upper edge."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """Numbers of values between edges.

    Attributes:
        edges: N + 1 edges; the first and last bins include all values beyond.
        counts: N counts.
    """

    edges: list[float]
    counts: list[int]


@dataclass(frozen=True, slots=True)
class ClassFacts:
    """Facts about one class.

    Attributes:
        name: The class.
        images: Number of images that show it, or have it as label.
        objects: Number of its objects; 0 for labels of images.
        sides: Minimum, lower quartile, median, upper quartile and maximum of the square roots of the areas of its
            objects, in pixels; empty if it has none.
        samples: Paths of the images of the shown samples.
    """

    name: str
    images: int
    objects: int
    sides: list[float]
    samples: list[str]


@dataclass(frozen=True, slots=True)
class Matrix:
    """Number of images that have a row's and a column's class.

    Attributes:
        rows: Classes of the rows.
        columns: Classes of the columns.
        counts: One list for each row.
        title: The label sets; empty for the objects of images.
    """

    rows: list[str]
    columns: list[str]
    counts: list[list[int]]
    title: str = ""


@dataclass
class Exploration:
    """The statistics of a dataset.

    Attributes:
        source: The folder.
        format: Its format.
        images: Number of usable images.
        objects: Number of objects.
        unlabelled_images: Number of images without annotations.
        without_objects: Number of images without objects and labels.
        faults: Kind of fault -> number.
        splits: Split -> number of images, if the annotations give splits.
        classes: The classes, in their order.
        sizes: ``[width, height, number of images]``, most frequent first.
        image_aspects: Width / height of the images.
        object_aspects: Width / height of the boxes of objects.
        objects_per_image: Number of images with 0, 1, 2, ... objects; the last entry also counts more.
        positions: Rows from top to bottom: the share of objects whose box covers each cell of the image.
        brightness: Mean gray value of images, 0 to 255.
        darkest: Path and brightness of the darkest images.
        brightest: Path and brightness of the brightest images.
        co_occurrence: Classes of objects in the same image; None with fewer than two classes.
        label_sets: Two label sets each, against each other.
        identical: Groups of images with identical bytes.
        near_duplicates: Groups of images that look alike, largest first, without the identical ones.
        near_duplicate_images: Number of images in these groups.
        thumbnails: Class -> samples, not part of the JSON.
    """

    source: str
    format: str
    images: int
    objects: int
    unlabelled_images: int
    without_objects: int
    faults: dict[str, int]
    splits: dict[str, int]
    classes: list[ClassFacts]
    sizes: list[list[int]]
    image_aspects: Histogram
    object_aspects: Histogram
    objects_per_image: list[int]
    positions: list[list[float]]
    brightness: Histogram
    darkest: list[tuple[str, float]]
    brightest: list[tuple[str, float]]
    co_occurrence: Matrix | None
    label_sets: list[Matrix]
    identical: list[list[str]]
    near_duplicates: list[list[str]]
    near_duplicate_images: int
    thumbnails: dict[str, list[Image.Image]] = field(default_factory=dict, repr=False)

    def to_json(self) -> dict[str, Any]:
        """The numbers as JSON values."""
        thumbnails, self.thumbnails = self.thumbnails, {}
        try:
            values = asdict(self)
        finally:
            self.thumbnails = thumbnails
        del values["thumbnails"]
        return values


def explore(source: Path, data: Data, *, classes_known: bool) -> Exploration:
    """Compute the statistics of a folder of annotations of any format; faults are counted and do not stop it.

    Images are decoded one after another, at a reduced size where the format allows, and only a few thumbnails are kept,
    so that memory does not grow with the size of images.

    Args:
        source: The folder.
        data: Classes, label sets, keypoints, near-duplicate distance, ``data.jobs``.
        classes_known: Whether ``data`` has the classes; if not, they are those of the dataset.

    Raises:
        DataError: The folder has no annotations, or no image can be used.
    """
    annotations, data = describe_dataset(source, data, classes_known=classes_known)
    images = annotations.images
    brightness = _brightness(source, images, data)
    samples = {name: _chosen(images, name) for name in data.classes[:_SAMPLED_CLASSES]}
    identical, alike = _duplicates(images, data.near_duplicate_distance)
    instances = [(image, instance) for image in images for instance in image.instances]
    by_brightness = sorted(range(len(images)), key=lambda index: brightness[index])
    ranked = [(images[index].image, round(float(brightness[index]), 1)) for index in by_brightness]
    return Exploration(
        source=str(source),
        format=annotations.format,
        images=len(images),
        objects=len(instances),
        unlabelled_images=annotations.unlabelled_images,
        without_objects=sum(not image.classes for image in images),
        faults=dict(Counter(fault.kind for fault in annotations.faults)),
        splits=dict(Counter(image.split for image in images if image.split)),
        classes=_classes(images, data.classes, samples),
        sizes=[[*size, n] for size, n in Counter((image.width, image.height) for image in images).most_common()],
        image_aspects=histogram([image.width / image.height for image in images], _ASPECTS),
        object_aspects=histogram([one.bbox[2] / one.bbox[3] for _, one in instances if one.bbox[3]], _ASPECTS),
        objects_per_image=_per_image(images),
        positions=_positions(instances),
        brightness=histogram(brightness, [16.0 * edge for edge in range(17)]),
        darkest=ranked[:_EXTREMES],
        brightest=ranked[::-1][:_EXTREMES],
        co_occurrence=_co_occurrence(images, data),
        label_sets=_against(images, data),
        identical=identical,
        near_duplicates=alike[:_GROUPS],
        near_duplicate_images=sum(map(len, alike)),
        thumbnails=_thumbnails(source, samples, data),
    )


def histogram(values: Iterable[float] | npt.NDArray[np.float64], edges: Sequence[float]) -> Histogram:
    """Count values between edges; values beyond the last edge are in the last bin.

    Example:
        >>> histogram([0.1, 0.9, 7], [0, 0.5, 1]).counts
        [1, 2]
    """
    limited = np.clip(np.asarray(list(values), np.float64), edges[0], edges[-1])
    counts, _ = np.histogram(limited, edges)
    return Histogram([float(edge) for edge in edges], counts.tolist())


def _brightness(source: Path, images: Sequence[LabelledImage], data: Data) -> npt.NDArray[np.float64]:
    def mean(image: LabelledImage) -> float:
        pixels = (
            read_reduced(source / image.image, data.max_pixels, _BRIGHTNESS_SIDE)[0]
            if image.embedded is None
            else read_image(image.embedded, data.max_pixels)
        )
        return float(ImageStat.Stat(pixels.convert("L")).mean[0])

    values = []
    with ThreadPoolExecutor(data.jobs) as pool, Progress("measure", total=len(images), unit="images") as progress:
        for value in pool.map(mean, images):
            values.append(value)
            progress.advance()
    return np.array(values)


def _classes(
    images: Sequence[LabelledImage],
    classes: Sequence[str],
    samples: dict[str, list[tuple[LabelledImage, Instance | None]]],
) -> list[ClassFacts]:
    shown, objects = Counter[str](), Counter[str]()
    sides: dict[str, list[float]] = {}
    for image in images:
        shown.update(set(image.classes))
        for instance in image.instances:
            objects[instance.label] += 1
            sides.setdefault(instance.label, []).append(math.sqrt(instance.area))
    return [
        ClassFacts(
            name,
            shown[name],
            objects[name],
            [round(float(value), 1) for value in np.quantile(sides[name], (0, 0.25, 0.5, 0.75, 1))]
            if name in sides
            else [],
            [image.image for image, _ in samples.get(name, [])],
        )
        for name in classes
    ]


def _per_image(images: Sequence[LabelledImage], last: int = 20) -> list[int]:
    counts = Counter(min(len(image.instances), last) for image in images)
    return [counts[number] for number in range(max(counts, default=0) + 1)] if any(i.instances for i in images) else []


def _positions(instances: Sequence[tuple[LabelledImage, Instance]]) -> list[list[float]]:
    if not instances:
        return []
    grid = np.zeros((GRID, GRID))
    for image, one in instances:
        x, y, width, height = one.bbox
        left, top = int(x / image.width * GRID), int(y / image.height * GRID)
        right, bottom = math.ceil((x + width) / image.width * GRID), math.ceil((y + height) / image.height * GRID)
        grid[top : max(bottom, top + 1), left : max(right, left + 1)] += 1
    shares: list[list[float]] = np.round(grid / len(instances), 4).tolist()
    return shares


def _co_occurrence(images: Sequence[LabelledImage], data: Data) -> Matrix | None:
    found = [{instance.label for instance in image.instances} for image in images]
    classes = [name for name in data.classes if any(name in labels for labels in found)]
    return _matrix(found, classes, classes) if len(classes) > 1 else None


def _against(images: Sequence[LabelledImage], data: Data) -> list[Matrix]:
    """Every two label sets; the classes of several sets are named ``set/class``."""
    found = [set(image.labels) for image in images]
    names = {one: [name for name in data.classes if name.startswith(f"{one}/")] for one in data.label_sets}
    return [_matrix(found, names[one], names[other], f"{one} and {other}") for one, other in combinations(names, 2)]


def _matrix(found: Sequence[set[str]], rows: list[str], columns: list[str], title: str = "") -> Matrix:
    pairs = Counter((row, column) for labels in found for row in labels for column in labels)
    return Matrix(rows, columns, [[pairs[row, column] for column in columns] for row in rows], title)


def _duplicates(images: Sequence[LabelledImage], distance: int) -> tuple[list[list[str]], list[list[str]]]:
    by_digest: dict[str, list[str]] = {}
    for image in images:
        by_digest.setdefault(image.sha256, []).append(image.image)
    identical = [names for names in by_digest.values() if len(names) > 1]
    firsts = {names[0] for names in by_digest.values()}
    distinct = [image for image in images if image.image in firsts]
    hashes = np.array([image.perceptual_hash for image in distinct], dtype=np.uint64)
    sets = tie_images(hashes, [() for _ in distinct], distance).sets()
    alike = [[distinct[index].image for index in members] for members in sets if len(members) > 1]
    return sorted(identical, key=len, reverse=True)[:_GROUPS], sorted(alike, key=len, reverse=True)


def _chosen(images: Sequence[LabelledImage], name: str) -> list[tuple[LabelledImage, Instance | None]]:
    """Evenly spaced images with a class, each with one of its objects; None if it is a label of the image."""
    having = [image for image in images if name in image.classes]
    steps = np.linspace(0, len(having) - 1, min(_SAMPLES, len(having)))
    places: list[int] = np.unique(steps.round().astype(int)).tolist()
    return [
        (having[place], next((one for one in having[place].instances if one.label == name), None)) for place in places
    ]


def _thumbnails(
    source: Path, samples: dict[str, list[tuple[LabelledImage, Instance | None]]], data: Data
) -> dict[str, list[Image.Image]]:
    def draw(image: LabelledImage, instance: Instance | None) -> Image.Image:
        pixels = read_image(source / image.image if image.embedded is None else image.embedded, data.max_pixels)
        if instance is None:
            pixels.thumbnail((_THUMBNAIL, _THUMBNAIL))
            return pixels
        x, y, width, height = instance.bbox
        rule = CropRule(_THUMBNAIL, _THUMBNAIL, "context", 0.75)
        return cropped(pixels, (x, y, x + max(width, 1.0), y + max(height, 1.0)), rule)

    return {name: [draw(*one) for one in chosen] for name, chosen in samples.items()}
