"""``sightline model export``: write a model for other programs."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sightline.errors import ConfigurationError

if TYPE_CHECKING:
    from sightline.models.export_header import ExportHeader
    from sightline.tasks.exporters import ExportFormat

_SUFFIXES = {"onnx": ".onnx", "torch_export": ".pt2"}


@click.command("export")
@click.argument("model", metavar="MODEL")
@click.option(
    "--format",
    "format_",
    type=click.Choice(list(_SUFFIXES)),
    default="onnx",
    show_default=True,
    help="onnx: an ONNX file; torch_export: a program of torch.export.",
)
@click.option(
    "-o", "--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="File to write (.onnx, .pt2)."
)
@click.option(
    "--image",
    "images",
    type=click.Path(path_type=Path, dir_okay=False),
    multiple=True,
    help="Image to compare the predictions on, repeatable; without it, a generated image.",
)
def export(*, model: str, format_: ExportFormat, out: Path, images: tuple[Path, ...]) -> None:
    """Export a MODEL to ONNX or torch.export.

    MODEL is the path or URI of a model file, its SHA-256 (the first six digits are enough), or champion:DATASET
    (champion:DATASET/METRIC if the dataset has several champions).

    The predictions of the written file are compared with those of the model; if they differ, no file is written.  The
    file contains classes, preprocessing and model card, and is used with sightline.ExportedModel, without torch.
    """
    if out.suffix != _SUFFIXES[format_]:
        raise ConfigurationError(
            f"--out {out}: expected a name that ends in {_SUFFIXES[format_]} for --format {format_}; rename it"
        )
    from sightline.prediction.exporting import export_model
    from sightline.prediction.models import find_model

    with tempfile.TemporaryDirectory() as folder:
        exported = export_model(find_model(model, Path(folder)), out, format_, images)
    click.echo(f"{out}: {exported.bytes / 1e6:.1f} MB, {format_}, {_input(exported.header)}")
    click.echo(f"compared with PyTorch: {exported.parity.line()}")
    if exported.parity.advice:
        click.echo(exported.parity.advice)


def _input(header: ExportHeader) -> str:
    size = "any size" if header.canvas is None else f"padded to {header.canvas[1]}x{header.canvas[0]} pixels"
    return f"batches of any number of images, longer side {header.image_size} pixels, {size}"
