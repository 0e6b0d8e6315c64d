"""``sightline dataset crop``: objects as images of one size."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sightline.cli.dataset.options import data_of, data_options, done, dry_run_option, out_argument, source_argument
from sightline.cli.score_option import ScoreType
from sightline.plural import counted

if TYPE_CHECKING:
    from PIL.Image import Image

    from sightline.data.tools.crop import Box, Detect, Padding

_SHOWN = 20


@click.command("crop")
@source_argument
@out_argument
@click.option("--size", required=True, metavar="WxH", help="Size of every crop in pixels, such as 224x224.")
@click.option("--padding", type=click.Choice(["context", "black"]), default="context", show_default=True)
@click.option("--scale", type=float, default=1.0, show_default=True, help="Share of the crop that the object fills.")
@click.option("--detector", metavar="MODEL", help="Crop the objects that a Sightline model detects.")
@click.option("--score", type=ScoreType(), default=0.5, show_default=True, help="Lowest score of a detection.")
@data_options
@dry_run_option
def command(
    source: Path,
    out: Path,
    *,
    size: str,
    padding: Padding,
    scale: float,
    detector: str | None,
    score: float,
    recipe: str | None,
    overrides: tuple[str, ...],
    dry_run: bool,
) -> None:
    """Crop the objects of SRC to class folders in the new folder OUT, all at the same size.

    SRC contains annotations of any format, or with --detector any images. The object keeps its aspect ratio and is
    never larger than the crop: at --scale 0.8, its longer side fills 0.8 of it. Around the object are its surroundings
    (black beyond the image), or black. Images and objects that cannot be cropped are listed.
    """
    from sightline.data.tools.crop import CropRule, crop_annotated, crop_detected

    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", size)
    if match is None:
        raise click.BadParameter(f"{size!r}; expected width and height in pixels, such as 224x224", param_hint="--size")
    rule = CropRule(int(match[1]), int(match[2]), padding, scale)
    data, known = data_of(recipe, overrides)
    if detector is None:
        result = crop_annotated(source, out, rule, data, classes_known=known, dry_run=dry_run)
    else:
        detect = _detect(detector, score)
        result = crop_detected(source, out, rule, detect, max_pixels=data.max_pixels, dry_run=dry_run)
    for label, count in sorted(result.crops.items()):
        click.echo(f"  {label}: {count:,}")
    if result.failures:
        click.echo(f"failures: {len(result.failures):,}")
        for failure in result.failures[:_SHOWN]:
            click.echo(f"  {failure}")
        if len(result.failures) > _SHOWN:
            click.echo(f"  and {len(result.failures) - _SHOWN:,} more")
    click.echo(done(f"{counted(sum(result.crops.values()), 'crop')} of {size} to {out}", dry_run=dry_run))


def _detect(model: str, score: float) -> Detect:
    """The boxes that a model finds."""
    from sightline.errors import ModelFileError
    from sightline.prediction.models import load_predictor

    predictor = load_predictor(model)

    def detect(image: Image) -> list[tuple[str, Box]]:
        found = predictor.predict(image).above(score)
        if not hasattr(found, "boxes_xyxy"):
            raise ModelFileError(f"{model} is a model for {predictor.card.task}, which finds no boxes; give a detector")
        names = predictor.class_names
        return [
            (names[int(id_)], (box[0], box[1], box[2], box[3]))
            for id_, box in zip(found.category_ids, found.boxes_xyxy.tolist(), strict=True)
        ]

    return detect
