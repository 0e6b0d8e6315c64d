"""``sightline model``: look into model files, and use them."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from sightline.data.detections import Detections
    from sightline.metrics.exact_match import Reader
    from sightline.models.model_file import ModelCard

MAX_PIXELS = 50_000_000
"""As ``data.max_pixels`` has it where nobody says otherwise."""


@click.group("model")
def command() -> None:
    """Model files: one file with weights and everything needed to use them."""


@command.command("show")
@click.argument("model", metavar="FILE-OR-URI")
@click.option("--json", "as_json", is_flag=True, help="Print everything in the header as JSON.")
def show(*, model: str, as_json: bool) -> None:
    """Show what a model file says about itself."""
    from sightline.models.model_file import card_document, read_card

    with tempfile.TemporaryDirectory() as folder:
        card = read_card(_local(model, Path(folder)))
    if as_json:
        click.echo(json.dumps(card_document(card), indent=2, sort_keys=True))
        return
    rows = _rows(card)
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        click.echo(f"{name:<{width}}  {value}")


@command.command("predict")
@click.argument("model", metavar="FILE-OR-URI")
@click.argument(
    "images", metavar="IMAGE...", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("predictions"),
    show_default=True,
    help="Folder of the drawn images and their JSON files.",
)
@click.option(
    "--score", type=click.FloatRange(0, 1), default=0.5, show_default=True, help="Detections below are left out."
)
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
def predict(*, model: str, images: tuple[Path, ...], out: Path, score: float, device: str) -> None:
    """Detect in each IMAGE: draw what was found, and write it as JSON with what it reads."""
    from sightline.data.images import read_image
    from sightline.models.predictor import Predictor
    from sightline.report.draw import draw_detections
    from sightline.tasks.reading import open_reader

    _require_distinct(images)
    with tempfile.TemporaryDirectory() as folder:
        predictor = Predictor.load(_local(model, Path(folder)), device)
    card = predictor.card
    names = dict(zip(card.category_ids, card.classes, strict=True))
    reader = open_reader(card.reading, card.classes)
    out.mkdir(parents=True, exist_ok=True)
    for path in images:
        image = read_image(path, MAX_PIXELS)
        detections = predictor.predict(image).above(score)
        document = _document(path, detections, names, reader)
        draw_detections(image, detections, names).save(out / f"{path.stem}.png")
        (out / f"{path.stem}.json").write_text(json.dumps(document, indent=1), encoding="utf-8")
        click.echo(f"{path}: {len(detections)} detections{_read_text(document)}")
    click.echo(f"drawn images and JSON files are in {out}")


def _local(model: str, folder: Path) -> Path:
    """A path as it is, anything else fetched into ``folder``."""
    from sightline.storage.uris import fetch

    return fetch(model, folder) if "://" in model else Path(model)


def _require_distinct(images: tuple[Path, ...]) -> None:
    stems = [path.stem for path in images]
    twice = sorted({stem for stem in stems if stems.count(stem) > 1})
    if twice:
        raise click.UsageError(
            f"several images are called {', '.join(twice)}, and would be drawn to one file; give them in several calls"
        )


def _rows(card: ModelCard) -> list[tuple[str, str]]:
    architecture = card.architecture
    preprocessing = card.preprocessing
    classes = [f"{id_}: {name}" for id_, name in zip(card.category_ids, card.classes, strict=True)]
    return [
        ("task", card.task),
        ("backbone", architecture.backbone),
        ("input", f"longer side {preprocessing.image_size} px, mean {preprocessing.mean}, std {preprocessing.std}"),
        ("classes", ", ".join(classes)),
        ("reading", card.reading),
        ("training tag", f"{card.training_tag} (commit {card.training_commit})"),
        ("dataset digest", card.dataset_digest),
        ("code revision", card.code_rev),
        ("iteration", str(card.iteration)),
        *((f"val {name}", f"{value:.4f}") for name, value in card.metrics.items()),
    ]


def _document(path: Path, detections: Detections, names: dict[int, str], reader: Reader | None) -> dict[str, Any]:
    rows = zip(
        detections.category_ids.tolist(),
        detections.scores.tolist(),
        detections.boxes_xyxy.tolist(),
        detections.masks,
        strict=True,
    )
    document: dict[str, Any] = {
        "image": str(path),
        "detections": [
            {"class": names[id_], "category_id": id_, "score": score, "box_xyxy": box, "mask": mask}
            for id_, score, box, mask in rows
        ],
    }
    if reader is not None:
        readings = reader.read(detections.boxes_xyxy, detections.scores, detections.category_ids)
        document["readings"] = [reading.document() for reading in readings]
    return document


def _read_text(document: dict[str, Any]) -> str:
    readings = document.get("readings", [])
    return "".join(f"; {reading['kind']} {' '.join(reading['texts'])}" for reading in readings if reading["complete"])
