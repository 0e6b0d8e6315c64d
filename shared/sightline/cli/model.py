"""``sightline model``: inspect model files, and use them."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sightline.cli.model_compare import compare
from sightline.cli.model_export import export
from sightline.cli.score_option import ScoreType
from sightline.errors import DataError
from sightline.logs import Progress

if TYPE_CHECKING:
    from sightline.models.model_file import ModelCard
    from sightline.report.drawing.landmarks import LandmarkMode

MAX_PIXELS = 50_000_000
"""The default of ``data.max_pixels``."""

SHOWN_LINES = 200
"""Maximum number of images with a line of their own; for more images, only a progress bar is shown."""


@click.group("model")
def command() -> None:
    """Inspect, run, compare and export models."""


command.add_command(compare)
command.add_command(export)


@command.command("show")
@click.argument("model", metavar="MODEL")
@click.option("--json", "as_json", is_flag=True, help="Print the complete header as JSON.")
def show(*, model: str, as_json: bool) -> None:
    """Show the metadata of a model file.

    MODEL is the path or URI of a model file, its SHA-256 (the first six digits are enough), or champion:DATASET
    (champion:DATASET/METRIC if the dataset has several champions).
    """
    from sightline.models.model_file import card_document, read_card
    from sightline.prediction.models import find_model

    with tempfile.TemporaryDirectory() as folder:
        card = read_card(find_model(model, Path(folder)))
    if as_json:
        click.echo(json.dumps(card_document(card), indent=2, sort_keys=True))
        return
    rows = _rows(card)
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        click.echo(f"{name:<{width}}  {value}")


@command.command("predict")
@click.argument("model", metavar="MODEL")
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("predictions"),
    show_default=True,
    help="Folder for the annotated images and their JSON files.",
)
@click.option(
    "--score",
    type=ScoreType(),
    help="Minimum score of a prediction.  [default: that of its class in the model file, else 0.5]",
)
@click.option(
    "--max-pixels",
    type=click.IntRange(min=1),
    default=MAX_PIXELS,
    show_default=True,
    help="Maximum number of pixels of an image.",
)
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="auto uses a GPU if there is one.",
)
@click.option(
    "--draw",
    type=click.Choice(["predictions", "landmarks"]),
    default="predictions",
    show_default=True,
    help="What the pictures show; landmarks: only the keypoints, as pictures for other models.",
)
@click.option(
    "--mode",
    type=click.Choice(["gray", "color", "heatmap"]),
    help="Landmarks as dots on black (gray, the default), as skeletons on the image (color), or as a sum of Gaussians.",
)
def predict(
    *,
    model: str,
    images: tuple[str, ...],
    out: Path,
    score: float | None,
    max_pixels: int,
    device: str,
    draw: str,
    mode: LandmarkMode | None,
) -> None:
    """Run a MODEL on each IMAGE; write annotated images, and JSON files with the predictions.

    MODEL is the path or URI of a model file, its SHA-256 (the first six digits are enough), or champion:DATASET
    (champion:DATASET/METRIC if the dataset has several champions).  IMAGE is a file, a folder (its subfolders are
    mirrored in --out), or a pattern in quotes, such as "photos/**/*.jpg".

    Images that cannot be read are skipped and listed at the end.  Only files written by an earlier predict are
    replaced; if other files are in the way, the command fails before it starts.
    """
    from sightline.prediction.inputs import find_images, output_folder

    if mode and draw != "landmarks":
        raise click.UsageError("--mode is for --draw landmarks; add that, or leave --mode out")
    folder = output_folder(out)
    wanted = find_images(images, folder)
    folder.require_free(
        [file for image in wanted for file in (image.drawing, image.document)], [image.path for image in wanted]
    )

    from sightline.prediction.batch import landmarks_of, predict_images, shown_from
    from sightline.prediction.models import load_predictor

    predictor = load_predictor(model, device)
    drawing = landmarks_of(predictor, mode or "gray") if draw == "landmarks" else None
    lowest = shown_from(predictor.card) if score is None else score
    broken = []
    predictions = predict_images(predictor, wanted, folder, score=lowest, max_pixels=max_pixels, draw=drawing)
    with Progress("predict", total=len(wanted), unit="images") as progress:
        for done in progress.track(predictions):
            if done.fault is not None:
                broken.append(str(done.fault))
            elif len(wanted) <= SHOWN_LINES:
                progress.echo(f"{done.image.path}: {done.line}")
    if len(broken) < len(wanted):
        click.echo(f"annotated images and JSON files are in {out}")
    if broken:
        raise DataError(
            f"{_share(len(broken), len(wanted))} could not be read:\n" + "\n".join(f"  {fault}" for fault in broken)
        )


@command.command("mirror")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@click.argument("mirror", metavar="URI")
def fill_mirror(*, names: tuple[str, ...], mirror: str) -> None:
    """Copy published weights to a folder or bucket, for machines without internet.

    NAME is the name of weights of torchvision, such as MaskRCNN_ResNet50_FPN_Weights.COCO_V1, or of timm, such as
    timm:convnext_tiny.fb_in1k; URI is the mirror, such as gs://bucket/weights, which the configuration names as
    model.weights_mirror.  Weights that the mirror has already are left alone.
    """
    from sightline.models.weights.sources import full_name
    from sightline.models.weights.stored import fill_mirror as fill
    from sightline.storage import open_storage

    storage = open_storage(mirror)
    complete = [full_name(name) for name in names]  # all names are checked before the first download
    with tempfile.TemporaryDirectory() as cache:
        for name in complete:
            added = fill(name, Path(cache), storage)
            click.echo(f"{name}: {'copied to' if added else 'already in'} {storage.uri}")


def _share(broken: int, images: int) -> str:
    return "the image" if images == 1 else f"{broken:,} of {images:,} images"


def _rows(card: ModelCard) -> list[tuple[str, str]]:
    architecture = card.architecture
    preprocessing = card.preprocessing
    classes = [f"{id_}: {name}" for id_, name in zip(card.category_ids, card.classes, strict=True)]
    return [
        ("task", card.task),
        *((name, str(value)) for name, value in architecture if name == "backbone"),
        ("input", f"longer side {preprocessing.image_size} px, mean {preprocessing.mean}, std {preprocessing.std}"),
        ("classes", ", ".join(classes)),
        ("reading", card.reading),
        *([("weights", f"{card.weights} (SHA-256 {card.weights_sha256})")] if card.weights else []),
        ("training tag", f"{card.training_tag} (commit {card.training_commit})"),
        ("dataset digest", card.dataset_digest),
        ("code revision", card.code_rev),
        ("iteration", str(card.iteration)),
        *((f"val {name}", f"{value:.4f}") for name, value in card.metrics.items()),
    ]
