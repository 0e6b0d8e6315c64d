"""``sightline data preview``: what the augmentations of a recipe make of a dataset."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sightline.data.tags import DatasetTag
from sightline.errors import DataError
from sightline.plural import counted

if TYPE_CHECKING:
    from sightline.config.schema import Config
    from sightline.data.annotations import Annotations
    from sightline.data.formats.coco import CocoDocument
    from sightline.data.loading.dataset import CocoDataset
    from sightline.report.pages.augmentation_preview import PreviewRow


@click.command("preview")
@click.argument("source", metavar="TAG|FOLDER")
@click.option("--recipe", required=True, metavar="NAME", help="Recipe with the classes and train.augmentation.")
@click.option("--set", "overrides", multiple=True, metavar="A.B=VALUE", help="Change the recipe; repeatable.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), default=Path("preview.html"), help="Page; default: preview.html."
)
@click.option("--images", type=click.IntRange(1, 200), default=8, show_default=True, help="Number of images.")
@click.option("--samples", type=click.IntRange(1, 20), default=7, show_default=True, help="Samples of each image.")
def command(*, source: str, recipe: str, overrides: tuple[str, ...], output: Path, images: int, samples: int) -> None:
    """Write a page with augmented samples of a dataset and their annotations.

    TAG is an annotation or training tag of the data repository; FOLDER contains annotations of any format. The samples
    are what the network is trained on, at the size of its input.
    """
    from sightline.config.decode import decode
    from sightline.data.loading.dataset import CocoDataset
    from sightline.report.pages.augmentation_preview import AugmentationPreview, write_preview

    config = decode(recipe, overrides)
    with _opened(source, config) as opened:
        dataset = CocoDataset(
            opened.document,
            opened.root,
            image_size=config.model.image_size,
            max_pixels=config.data.max_pixels,
            augmentation=config.train.augmentation,
            seed=config.seed,
            loading=config.train,
        )
        preview = AugmentationPreview(
            source=source,
            recipe=config.recipe,
            images=len(dataset),
            image_size=config.model.image_size,
            changes=[
                (change.name, change.probability, _settings(change.model_dump(exclude={"name", "probability"})))
                for change in config.train.augmentation
            ],
            rows=list(_rows(dataset, opened, config.seed, images, samples)),
            notes=opened.notes,
        )
    write_preview(output, preview)
    click.echo(f"{output}: {counted(samples, 'sample')} of each of {counted(len(preview.rows), 'image')}")


@dataclass(frozen=True, slots=True)
class _Opened:
    """A training set on disk: its document, the folder of its images, their names for the reader, and remarks."""

    document: CocoDocument
    root: Path
    titles: list[str]
    notes: tuple[str, ...] = ()


@contextmanager
def _opened(source: str, config: Config) -> Iterator[_Opened]:
    from sightline.data.formats.coco import read_coco
    from sightline.data.formats.registry import read_annotations
    from sightline.data.repository.checkout import checked_out
    from sightline.data.workspace import Workspace
    from sightline.temporary_folder import temporary_folder

    if Path(source).is_dir():
        with temporary_folder("preview") as extracted:
            yield _labelled(read_annotations(Path(source), config.data), Path(source), Path(extracted), config)
        return
    tag = DatasetTag.parse(source)
    with checked_out(Workspace.of(config), source) as checkout, temporary_folder("preview") as extracted:
        if tag.kind == "ann":
            folder = checkout.path / tag.folder
            yield _labelled(read_annotations(folder, config.data), folder, Path(extracted), config)
        else:
            document = read_coco(checkout.path / tag.folder / "train.json")
            yield _Opened(document, checkout.path, [image["file_name"] for image in document["images"]])


def _labelled(annotations: Annotations, folder: Path, extracted: Path, config: Config) -> _Opened:
    """The usable images of a folder as one split; images that are embedded in their JSON file are extracted."""
    from sightline.data.recording.merge import merge

    if not annotations.images:
        raise DataError(f"{folder} has no labeled image; check it with sightline check {folder}")
    document = merge(annotations.images, ["train"] * len(annotations.images), config.data, "preview")["train"]
    for listed, image in zip(document["images"], annotations.images, strict=True):
        path = (folder / image.image).absolute()
        if image.embedded is not None:
            path = extracted / f"{listed['id']}{Path(image.image).suffix}"
            path.write_bytes(image.embedded)
        listed["file_name"] = str(path)
    faults = len(annotations.faults)
    note = f"{counted(faults, 'fault')} in the annotations; list them with sightline check"
    return _Opened(document, folder, [image.image for image in annotations.images], (note,) if faults else ())


def _rows(dataset: CocoDataset, opened: _Opened, seed: int, images: int, samples: int) -> Iterator[PreviewRow]:
    """The first images of the order of training."""
    from PIL import Image

    from sightline.report.drawing.objects import TruthDrawing
    from sightline.report.pages.augmentation_preview import PreviewRow

    drawing = TruthDrawing(opened.document)
    order = dataset.order(1, seed)
    chosen = list(dict.fromkeys(order.image_at(position) for position in range(order.length)))[:images]
    for index in chosen:
        scene = dataset.scene(index)
        after = [dataset.sample(index, position=index + number * len(dataset)) for number in range(samples)]
        yield PreviewRow(
            opened.titles[index],
            drawing.sample(
                scene.image,
                scene.objects.labels,
                scene.objects.boxes_xyxy,
                scene.objects.outlines,
                keypoints=scene.objects.keypoints,
                image_labels=scene.image_labels,
            ),
            [
                drawing.sample(
                    Image.fromarray(one.image),
                    one.labels,
                    one.boxes_xyxy,
                    one.segmentations,
                    keypoints=one.keypoints,
                    image_labels=one.image_labels,
                )
                for one in after
            ],
        )


def _settings(values: dict[str, Any]) -> str:
    """The settings of an augmentation that are set, as the recipe would say it."""
    return ", ".join(f"{name}: {value}" for name, value in values.items() if value not in ({}, ()))
