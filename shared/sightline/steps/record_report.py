"""The report of record: a page, and its numbers as JSON."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import asdict
from pathlib import Path

from PIL import Image

from sightline.config.schema import Config
from sightline.config.task_declarations import counted_by_class
from sightline.data.formats.coco import CocoAnnotation, CocoImage
from sightline.data.images import read_image
from sightline.data.recording.filling import SPLITS
from sightline.data.recording.training_set import TrainingSet, from_bytes
from sightline.data.recording.training_tag import PublishedSet
from sightline.data.repository.checkout import Checkout
from sightline.data.repository.history import History, open_history
from sightline.data.tags import DatasetTag
from sightline.documents import FIRST_FORMAT
from sightline.report.drawing.objects import TruthDrawing
from sightline.report.pages.data_report import DataReport, Example, PreviousVersion, quantiles, write_data_report

EXAMPLES_PER_SPLIT = 4


def write_report(folder: Path, published: PublishedSet, source: Checkout, config: Config) -> None:
    """Write ``report.html`` and ``report.json``.

    Args:
        folder: Folder for the files.
        published: The training set.
        source: The checkout of its annotations, with the images.
        config: The data repository and the image limits.
    """
    found = published.training_set
    training = DatasetTag.parse(source.tag).training
    previous = [DatasetTag.parse(tag) for tag in found.earlier[-1:]]
    with open_history(config.data.repository, [training, *previous], config.data.timeout_seconds) as history:
        report = DataReport(
            dataset=found.dataset,
            version=found.version,
            annotation_tag=found.annotation_tag,
            training_tag=str(training),
            commit=found.annotation_commit,
            classes=found.classes,
            images=found.images_per_split,
            instances=found.instances,
            image_sizes=dict(Counter((image.width, image.height) for image in found.images)),
            areas=_areas(published),
            dropped=found.dropped,
            ignored=found.ignored,
            left_out=found.left_out,
            warnings=found.warnings,
            faults=found.faults,
            groups=len({image.tied for image in found.images}),
            near_duplicates=_near_duplicates(found),
            previous=_previous(history, previous, found),
            counted=counted_by_class(config.task),
            examples=_examples(history, training, published, source, config.data.max_pixels),
        )
    write_data_report(folder / "report.html", report)
    numbers = {name: value for name, value in vars_of(report).items() if name != "examples"}
    (folder / "report.json").write_text(
        json.dumps({"format": FIRST_FORMAT, **numbers}, indent=1, sort_keys=True), encoding="utf-8"
    )


def vars_of(report: DataReport) -> dict[str, object]:
    """The report's numbers as JSON values."""
    return {
        **{name: getattr(report, name) for name in DataReport.__slots__},
        "image_sizes": {f"{width}x{height}": count for (width, height), count in sorted(report.image_sizes.items())},
        "previous": None if report.previous is None else asdict(report.previous),
    }


def _areas(published: PublishedSet) -> dict[str, list[float]]:
    areas = defaultdict(list)
    for document in published.documents.values():
        for annotation in document["annotations"]:
            areas[published.training_set.classes[annotation["category_id"] - 1]].append(annotation["area"])
    return {name: quantiles(areas[name]) for name in published.training_set.classes if areas[name]}


def _near_duplicates(found: TrainingSet) -> list[list[str]]:
    """The groups that were connected by similarity, not by the user, with the files of their images; largest first."""
    groups = defaultdict(list)
    for image in found.images:
        groups[image.tied].append(image)
    alike = [
        [image.file_name for image in members]
        for members in groups.values()
        if len({(one.group, one.file_name if one.group == one.sha256 else "") for one in members}) > 1
    ]
    return sorted(alike, key=lambda names: (-len(names), names))


def _previous(history: History, tags: list[DatasetTag], found: TrainingSet) -> PreviousVersion | None:
    if not tags:
        return None
    before = from_bytes(history.read(tags[0], "dataset.json"), f"dataset.json of {tags[0]}")
    old, new = {image.sha256 for image in before.images}, {image.sha256 for image in found.images}
    return PreviousVersion(str(tags[0]), kept=len(old & new), new=len(new - old), removed=len(old - new))


def _examples(
    history: History, tag: DatasetTag, published: PublishedSet, source: Checkout, max_pixels: int
) -> list[Example]:
    examples = []
    for split in SPLITS:
        document = published.documents[split]
        drawing = TruthDrawing(document)
        drawn: dict[int, list[CocoAnnotation]] = defaultdict(list)
        for annotation in document["annotations"]:
            drawn[annotation["image_id"]].append(annotation)
        for image in sorted(document["images"], key=lambda image: image["sha256"])[:EXAMPLES_PER_SPLIT]:
            picture = _read(history, tag, image, source, max_pixels)
            truth = drawing.image(picture, drawn[image["id"]], image.get("labels", ()))
            examples.append(Example(image["file_name"], truth, split))
    return examples


def _read(history: History, tag: DatasetTag, image: CocoImage, source: Checkout, max_pixels: int) -> Image.Image:
    """An image from the annotations, or an embedded image that was extracted to the training set."""
    path = source.path / image["file_name"]
    if path.is_file():
        return read_image(path, max_pixels)
    return read_image(history.read(tag, image["file_name"].removeprefix(f"{tag.folder}/")), max_pixels)
