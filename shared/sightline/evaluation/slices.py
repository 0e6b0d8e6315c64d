"""Slices of a split: sets of images with something in common, and the value of a metric on each of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from sightline.data.formats.coco import CocoDocument
from sightline.evaluation.bootstrap import Resamples
from sightline.evaluation.image_attributes import ImageAttributes
from sightline.evaluation.image_qualities import ImageQualities, image_qualities
from sightline.evaluation.shared_classes import listed
from sightline.metrics.statistic import AveragePrecision, Bools, ClassMatches, Floats, Statistic
from sightline.report.sections import Interval, IntervalsSection

SMALLEST = 10
"""Smaller slices have no value: it would say more about a few images than about what they have in common."""

SLICE_RESAMPLES = 60
"""Resamples for the standard error on a slice; there are many slices, and an error of a tenth of it is enough."""

_FEW_GROUPS = 10
"""With fewer groups, their values may be equal by chance."""

_FAR = 0.6
"""A dark image has less than this share of the median brightness; a bright one, of the median distance to white."""

_BLURRED = 0.25
"""A blurred image has less than this share of the median sharpness."""

_LONG = 1.5
"""A tall or wide image is at least this many times as long on one side as on the other."""

_AREAS = {"small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, np.inf)}
"""Areas of objects in square pixels, as in COCO."""

_MOST_VALUES = 12
"""A column with more different values is divided into four ranges, if all of them are numbers."""

_MOST_SLICES = 40
"""Values of one source, such as groups; of more, those with the most images are taken."""

_MANY = 20
"""From this number of slices on, a page says how many would look weak by chance."""

_MEANINGS = {
    "size": "Small objects are below 32 x 32 pixels, large ones from 96 x 96 on.",
    "brightness": "Dark images are below 60 % of the median brightness, bright ones the same seen from white.",
    "blur": "Blurred images have less than a quarter of the median sharpness (variance of the Laplacian).",
    "object flag": "Images with an object that has the flag in labelme.",
    "aspect": "One side of tall and wide images is at least 1.5 times the other.",
}
"""The definitions of slices, by the part of their name before the colon."""


def image_slices(
    truth: CocoDocument,
    root: Path,
    *,
    max_pixels: int,
    attributes: ImageAttributes | None = None,
    kept: Path | None = None,
) -> dict[str, Bools]:
    """The slices of a split, by objects, classes, flags, group, brightness, blur, aspect ratio and attributes.

    Slices without images and slices with all images are left out.

    Args:
        truth: The split.
        root: The folder that the file names of the split are relative to.
        max_pixels: Images with more pixels are in no slice of brightness or blur.
        attributes: Attributes of the images from a CSV file.
        kept: File that keeps brightness and sharpness; see
            :func:`~sightline.evaluation.image_qualities.image_qualities`.

    Returns:
        Name of the slice, such as ``brightness: dark`` -> whether each image of ``truth["images"]`` is in it, [I].
    """
    qualities = image_qualities(truth["images"], root, max_pixels, kept)
    found = dict(
        (
            *_object_slices(truth),
            *_label_slices(truth),
            *_group_slices(truth),
            *_quality_slices(qualities),
            *_aspect_slices(truth),
        )
    )
    for name, inside in _attribute_slices(attributes or ImageAttributes()):
        found[name if name not in found else name.replace(":", " (attribute):", 1)] = inside
    return {name: inside for name, inside in found.items() if inside.any() and not inside.all()}


def _object_slices(truth: CocoDocument) -> Iterator[tuple[str, Bools]]:
    """By the number and the sizes of objects; nothing for a split without objects."""
    if not truth["annotations"]:
        return
    place = {image["id"]: at for at, image in enumerate(truth["images"])}
    at = np.array([place[one["image_id"]] for one in truth["annotations"]], dtype=np.intp)
    areas = np.array([one["area"] for one in truth["annotations"]])
    number = np.bincount(at, minlength=len(place))
    for title, least, most in (("none", 0, 0), ("1", 1, 1), ("2 to 5", 2, 5), ("6 or more", 6, len(areas))):
        yield f"objects: {title}", (number >= least) & (number <= most)
    for size, (smallest, largest) in _AREAS.items():
        yield f"size: {size}", np.bincount(at[(areas >= smallest) & (areas < largest)], minlength=len(place)) > 0


def _label_slices(truth: CocoDocument) -> Iterator[tuple[str, Bools]]:
    """By class and by flag, of objects or of whole images."""
    place = {image["id"]: at for at, image in enumerate(truth["images"])}
    names = {category["id"]: category["name"] for category in truth["categories"]}
    classes = {id_: np.zeros(len(place), dtype=np.bool_) for id_ in names}
    for annotation in truth["annotations"]:
        classes[annotation["category_id"]][place[annotation["image_id"]]] = True
    for at, image in enumerate(truth["images"]):
        for label in image.get("labels", ()):
            classes[label][at] = True
    for id_, inside in classes.items():
        yield class_slice(names[id_]), inside
    of_images: list[Collection[str]] = [image.get("flags", ()) for image in truth["images"]]
    of_objects: list[set[str]] = [set() for _ in place]
    for annotation in truth["annotations"]:
        of_objects[place[annotation["image_id"]]].update(annotation.get("flags", ()))
    for source, flags in (("flag", of_images), ("object flag", of_objects)):
        for flag, _ in Counter(name for row in flags for name in row).most_common(_MOST_SLICES):
            yield f"{source}: {flag}", np.array([flag in row for row in flags])


def class_slice(name: str) -> str:
    """The name of the slice of a class."""
    return f"class: {name}"


def _group_slices(truth: CocoDocument) -> Iterator[tuple[str, Bools]]:
    """By group; most groups are single images or a few near-duplicates, so only large ones are slices."""
    groups = np.array([image["group"] for image in truth["images"]], dtype=np.str_)
    for group, number in Counter(groups.tolist()).most_common(_MOST_SLICES):
        if group and number >= SMALLEST:
            yield f"group: {group}", groups == group


def _quality_slices(qualities: ImageQualities) -> Iterator[tuple[str, Bools]]:
    brightness, sharpness = qualities.brightness, qualities.sharpness
    if np.isnan(brightness).all():
        return
    median = float(np.nanmedian(brightness))
    yield "brightness: dark", brightness < _FAR * median
    yield "brightness: bright", 255 - brightness < _FAR * (255 - median)
    yield "blur: blurred", sharpness < _BLURRED * float(np.nanmedian(sharpness))


def _aspect_slices(truth: CocoDocument) -> Iterator[tuple[str, Bools]]:
    ratios = np.array([image["width"] / image["height"] for image in truth["images"]])
    yield "aspect: tall", ratios <= 1 / _LONG
    yield "aspect: wide", ratios >= _LONG


def _attribute_slices(attributes: ImageAttributes) -> Iterator[tuple[str, Bools]]:
    for column, cells in attributes.columns.items():
        values = np.array(cells, dtype=np.str_)
        counts = Counter(value for value in cells if value)
        numbers = _numbers(cells) if len(counts) > _MOST_VALUES else None
        if numbers is not None:
            yield from _ranges(column, numbers)
            continue
        for value, _ in counts.most_common(_MOST_SLICES):
            yield f"{column}: {value}", values == value


def _numbers(cells: Sequence[str]) -> Floats | None:
    """The cells as numbers, NaN where a cell is empty; None if a cell is not a number."""
    try:
        return np.array([float(cell) if cell else np.nan for cell in cells])
    except ValueError:
        return None


def _ranges(column: str, numbers: Floats) -> Iterator[tuple[str, Bools]]:
    """Four ranges with about the same number of images."""
    edges = np.unique(np.nanquantile(numbers, (0.25, 0.5, 0.75)))
    yield f"{column}: up to {edges[0]:g}", numbers <= edges[0]
    for low, high in pairwise(edges.tolist()):
        yield f"{column}: above {low:g} to {high:g}", (numbers > low) & (numbers <= high)
    yield f"{column}: above {edges[-1]:g}", numbers > edges[-1]


@dataclass(frozen=True, slots=True)
class SliceScore:
    """A metric on one slice.

    Attributes:
        name: Name of the slice.
        images: Number of its images.
        value: The metric on these images.
        low: Lower end of its 95 % interval.
        high: Upper end.
        weak: Whether the whole interval is on the worse side of the value on all images.
    """

    name: str
    images: int
    value: float
    low: float
    high: float
    weak: bool


@dataclass(frozen=True, slots=True)
class SliceScores:
    """A metric on all slices.

    Attributes:
        overall: The value on all images; NaN if it cannot be computed.
        scores: The slices, the worst value first.
        too_few: Name -> number of images of the slices that are too small.
        without_truth: Slices without truth for the metric.
    """

    overall: float
    scores: Sequence[SliceScore]
    too_few: Mapping[str, int]
    without_truth: Sequence[str]


def slice_scores(
    statistic: Statistic,
    slices: Mapping[str, Bools],
    groups: Sequence[str],
    *,
    of_classes: Mapping[str, Statistic] | None = None,
    higher_is_better: bool = True,
) -> SliceScores:
    """The value of a metric on each slice, with its 95 % interval: the value, plus and minus t standard errors.

    The standard error is that of a bootstrap over the groups of a slice (Efron and Tibshirani, An Introduction to the
    Bootstrap, 1993, chapters 6 and 13); the images of a slice that is a single group are resampled one by one.

    The values of few groups can be equal by chance, so their standard error is at least that of single images.

    Args:
        statistic: The metric.
        slices: Name -> whether each image is in the slice, [I].
        groups: The group of each image, [I]; an image without one (empty) is its own group.
        of_classes: Class -> the metric of the class alone, which is what its slice shows, because an image with an
            object of a class is also right or wrong about the others.
        higher_is_better: Whether a weak slice has a low value or a high one.
    """
    names = np.array(groups, dtype=np.str_)
    overall = float(statistic.values(np.ones((1, len(names))))[0]) if len(names) else np.nan
    scores, too_few, without_truth = [], {}, []
    alone = {class_slice(name): one for name, one in (of_classes or {}).items()}
    known: dict[bytes, tuple[float, float]] = {}
    for name, inside in slices.items():
        if (images := int(inside.sum())) < SMALLEST:
            too_few[name] = images
            continue
        key = inside.tobytes()
        if name in alone:
            value, margin = _value_and_margin(alone[name], names.tolist())
        elif key in known:
            value, margin = known[key]
        else:
            value, margin = known[key] = _value_and_margin(_on_images(statistic, inside), names[inside].tolist())
        if np.isnan(value):
            without_truth.append(name)
        else:
            low, high = value - margin, value + margin
            weak = high < overall if higher_is_better else low > overall
            scores.append(SliceScore(name, images, value, low, high, weak))
    scores.sort(key=lambda one: one.value if higher_is_better else -one.value)
    return SliceScores(overall, scores, too_few, without_truth)


def _value_and_margin(statistic: Statistic, groups: Sequence[str]) -> tuple[float, float]:
    """The value of a metric on the images of a slice, and half the length of its interval."""
    from scipy import stats

    value = float(statistic.values(np.ones((1, len(groups))))[0])
    if np.isnan(value):
        return value, np.inf
    one_by_one = [""] * len(groups)
    resamples = Resamples(groups if len(set(groups)) > 1 else one_by_one, SLICE_RESAMPLES)
    error = _standard_error(statistic, resamples)
    if resamples.groups < min(_FEW_GROUPS, len(groups)):
        error = max(error, _standard_error(statistic, Resamples(one_by_one, SLICE_RESAMPLES)))
    return value, float(stats.t.ppf(0.975, resamples.groups - 1)) * error


def _standard_error(statistic: Statistic, resamples: Resamples) -> float:
    """The spread of a metric over resamples; infinite if too few of them have a value."""
    values = resamples.values(statistic)
    values = values[~np.isnan(values)]
    if len(values) < 2:
        return np.inf
    return float(values.std(ddof=1) * np.sqrt(resamples.groups / (resamples.groups - 1)))


def _on_images(statistic: Statistic, inside: Bools) -> Statistic:
    """A metric as a function of how often each image of a slice counts."""
    if not isinstance(statistic, AveragePrecision):
        return _OnImages(statistic, inside)
    places = np.cumsum(inside) - 1  # detections in other images need not be visited
    kept = [inside[matches.images] for matches in statistic.classes]
    return AveragePrecision(
        [
            ClassMatches(places[one.images[here]], one.right[:, here], one.ignored[:, here], one.truths[inside])
            for one, here in zip(statistic.classes, kept, strict=True)
        ]
    )


@dataclass(frozen=True, slots=True)
class _OnImages:
    """A metric in which only some images count."""

    statistic: Statistic
    inside: Bools

    def values(self, weights: Floats) -> Floats:
        """See :meth:`sightline.metrics.statistic.Statistic.values`."""
        of_all = np.zeros((len(weights), len(self.inside)), weights.dtype)
        of_all[:, self.inside] = weights
        return self.statistic.values(of_all)


def slices_section(
    metric: str, scores: SliceScores, notes: Sequence[str] = (), *, highest: float = np.inf
) -> IntervalsSection:
    """The slices as a section of a page, the worst first.

    Args:
        metric: Name of the metric.
        scores: Its values.
        notes: What could not be used for slices, in full sentences.
        highest: The highest value that is possible; intervals end there.
    """
    weak = [one.name for one in scores.scores if one.weak]
    said = f"Weak: {listed(weak)}." if weak else "No slice is weak: each interval reaches the value of all images."
    sources = dict.fromkeys(one.name.partition(":")[0] for one in scores.scores)
    remarks = [" ".join(text for source, text in _MEANINGS.items() if source in sources)]
    if scores.too_few:
        few = listed([f"{name} ({number})" for name, number in scores.too_few.items()])
        remarks.append(f"Fewer than {SMALLEST} images, so without a value: {few}.")
    if scores.without_truth:
        remarks.append(f"Without truth for {metric}: {listed(scores.without_truth)}.")
    if len(scores.scores) >= _MANY:
        remarks.append(
            f"Of {len(scores.scores)} slices, about {max(1, round(len(scores.scores) / 40))} would look weak by chance."
        )
    return IntervalsSection(
        id="slices",
        title="Where it is weak",
        link="Slices",
        lead=f"{metric} on images that have something in common, the worst first. A slice is weak if its whole "
        "interval is worse than the value of all images.",
        missing=" ".join([f"No slice has {SMALLEST} images and truth for {metric}.", *notes]),
        head="slice",
        value_name=metric,
        reference=None if np.isnan(scores.overall) else scores.overall,
        reference_name="all images",
        verdict=said,
        rows=[
            Interval(
                name=one.name,
                count=one.images,
                value=one.value,
                low=max(one.low, 0.0),
                high=min(one.high, highest),
                tone="bad" if one.weak else "",
                note="weak" if one.weak else "",
            )
            for one in scores.scores
        ],
        notes=[text for text in (*remarks, *notes) if text],
    )
