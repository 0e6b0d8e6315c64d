"""``sightline dataset convert``: another annotation format."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sightline.cli.dataset.options import data_of, data_options, done, dry_run_option, out_argument, source_argument
from sightline.plural import counted

if TYPE_CHECKING:
    from sightline.data.tools.convert import TargetFormat


@click.command("convert")
@source_argument
@out_argument
@click.option("--to", type=click.Choice(["labelme", "coco", "yolo", "folders"]), required=True, help="Format of OUT.")
@click.option(
    "--max-loss", type=click.IntRange(min=0), default=0, show_default=True,
    help="Objects and images of which something may be lost.",
)  # fmt: skip
@data_options
@dry_run_option
def command(
    source: Path,
    out: Path,
    to: TargetFormat,
    *,
    max_loss: int,
    recipe: str | None,
    overrides: tuple[str, ...],
    dry_run: bool,
) -> None:
    """Convert SRC, of any format, to the new folder OUT, with copies of the images.

    What the format cannot hold is listed: a YOLO file has no holes and one polygon for each object, labelme has no
    splits, class folders have no objects. Without --recipe, the classes are those of the dataset; labels of images and
    keypoints of labelme files need a recipe or --set data.label_sets=... and data.keypoints=...
    """
    from sightline.data.tools.convert import convert

    data, known = data_of(recipe, overrides)
    result = convert(source, out, to, data, classes_known=known, max_loss=max_loss, dry_run=dry_run)
    click.echo(f"classes: {', '.join(result.classes)}")
    if result.losses:
        click.echo(f"lost, because {to} cannot hold it or data.faults leaves it out:")
        for what, number in result.losses.items():
            click.echo(f"  {what}: {number:,}")
    else:
        click.echo("nothing is lost")
    total = sum(result.losses.values())
    if dry_run and total > max_loss:
        click.echo(f"more than --max-loss {max_loss}: the conversion would be refused")
    click.echo(done(f"{counted(result.images, 'image')} to {out} as {to}", dry_run=dry_run))
