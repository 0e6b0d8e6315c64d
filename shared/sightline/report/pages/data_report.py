"""The data report of record, about one version of a dataset."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from sightline.report.page import write_page

_SHOWN_SIZES = 12
_SHOWN_GROUPS = 20
_SHOWN_NAMES = 6


@dataclass(frozen=True, slots=True)
class Example:
    """One drawn example, embedded in the page as a JPEG of at most 900 pixels.

    Attributes:
        title: The caption, such as the path of the image.
        image: The drawn image (:func:`sightline.report.drawing.draw.draw_truth`) or the path of its file.
        split: ``train``, ``val`` or ``test``.
    """

    title: str
    image: Image.Image | Path
    split: str


@dataclass(frozen=True, slots=True)
class PreviousVersion:
    """Changes of the images since the previous version.

    Attributes:
        tag: Its training tag.
        kept: Number of images in both versions.
        new: Number of images only in the new version.
        removed: Number of images only in the previous version.
    """

    tag: str
    kept: int
    new: int
    removed: int


@dataclass(frozen=True, slots=True)
class DataReport:
    """The contents of the data report.  All counts are taken after the fault policies were applied.

    Attributes:
        dataset: The dataset's name, such as ``plates``.
        version: Such as ``v1``.
        annotation_tag: The tag that it was made from.
        training_tag: The tag that was published.
        commit: The commit that the annotation tag names.
        classes: Class names in the order of the configuration.
        images: Split -> number of images: ``{"train": 300, "val": 60, "test": 60}``.
        instances: Split -> class -> number of instances: ``{"train": {"0": 123, ...}, ...}``; absent classes have 0.
        image_sizes: (width, height) in pixels -> number of images; ``dict(Counter(...))``.
        areas: Class -> five numbers on the areas of its instances in square pixels (:func:`quantiles`): minimum, lower
            quartile, median, upper quartile, maximum.  Classes without instances are absent.
        dropped: Kind of fault -> number of cases that the fault policies left out or fixed.
        ignored: Number of shapes with an ignored label.
        left_out: Class -> kind of fault -> number of shapes left out.
        warnings: Warnings to read before training.
        faults: Every fault as text (``str(fault)``); the page shows the first 200 and the number of others.
        groups: Number of distinct groups of images that must stay in one split.
        near_duplicates: The images of each group that has several because of near-duplicates, largest group first.
        previous: Changes since the previous version; None for a first version.
        counted: What ``instances`` counts: ``images`` if classes are labels of whole images.
        examples: Drawn examples, a dozen or two, because the page embeds them all.
    """

    dataset: str
    version: str
    annotation_tag: str
    training_tag: str
    commit: str
    classes: list[str]
    images: dict[str, int]
    instances: dict[str, dict[str, int]]
    image_sizes: dict[tuple[int, int], int] = field(default_factory=dict)
    areas: dict[str, list[float]] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    ignored: int = 0
    left_out: dict[str, dict[str, int]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    groups: int = 0
    near_duplicates: list[list[str]] = field(default_factory=list)
    previous: PreviousVersion | None = None
    counted: str = "instances"
    examples: list[Example] = field(default_factory=list)


def quantiles(values: Sequence[float] | npt.NDArray[np.float64]) -> list[float]:
    """Minimum, lower quartile, median, upper quartile and maximum of at least one value, for ``DataReport.areas``."""
    return [float(value) for value in np.quantile(np.asarray(values, dtype=np.float64), (0, 0.25, 0.5, 0.75, 1))]


def write_data_report(path: Path, report: DataReport) -> None:
    """Write the data report as one HTML file that opens offline; parent folders are created.

    Args:
        path: The HTML file; replaced as a whole.
        report: The contents.

    Raises:
        DataError: The image file of an example cannot be read.
    """
    sizes = sorted(report.image_sizes.items(), key=lambda item: (-item[1], item[0]))
    write_page(
        path,
        "data_report.html",
        report=report,
        instances=sum(sum(counts.values()) for counts in report.instances.values()),
        areas=_area_rows(report),
        sizes=[(width, height, number) for (width, height), number in sizes[:_SHOWN_SIZES]],
        shown_groups=_SHOWN_GROUPS,
        shown_names=_SHOWN_NAMES,
        other_sizes=len(sizes[_SHOWN_SIZES:]),
        other_images=sum(number for _, number in sizes[_SHOWN_SIZES:]),
    )


@dataclass(frozen=True, slots=True)
class _AreaRow:
    """The side in pixels of a square of each of the five areas, and its position on the common scale in percent."""

    name: str
    sides: list[float]
    places: list[float]


def _area_rows(report: DataReport) -> list[_AreaRow]:
    sides = {name: [math.sqrt(area) for area in report.areas[name]] for name in report.classes if name in report.areas}
    everything = [max(side, 1.0) for five in sides.values() for side in five]
    if not everything:
        return []
    low, high = math.log(min(everything)), math.log(max(everything))
    span = (high - low) or 1.0
    return [
        _AreaRow(name, five, [round(98 * (math.log(max(side, 1.0)) - low) / span, 2) for side in five])
        for name, five in sides.items()
    ]
