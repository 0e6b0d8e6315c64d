"""``sightline demo``: the plate generator."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import click

from sightline.demo.plates.difficulty import Difficulty


def _image_size(_context: click.Context, _parameter: click.Parameter, value: str) -> tuple[int, int]:
    """Read ``384x288``."""
    match = re.fullmatch(r"(\d+)x(\d+)", value)
    if match is None:
        raise click.BadParameter(f"{value!r} is not a size; expected width x height in pixels, such as 384x288")
    return int(match[1]), int(match[2])


@click.group("demo")
def command() -> None:
    """Generate demo images: Korean-style license plates, labeled character by character."""


@command.command("draw")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--images", type=click.IntRange(min=1), default=400, show_default=True, help="Number of images.")
@click.option(
    "--seed", type=int, default=0, show_default=True, help="Random seed; a different one draws different images."
)
@click.option(
    "--difficulty",
    type=click.Choice(get_args(Difficulty)),
    default="easy",
    show_default=True,
    help="How small, tilted, blurred, noisy and faint the plates are.",
)
@click.option(
    "--size",
    metavar="WxH",
    callback=_image_size,
    default="384x288",
    show_default=True,
    help="Width and height of the images, in pixels.",
)
@click.option("--start", type=click.IntRange(min=0), default=0, show_default=True, help="Index of the first image.")
@click.option("--prefix", default="", help="Prefix of the file names.")
def draw(
    *, folder: Path, images: int, seed: int, difficulty: Difficulty, size: tuple[int, int], start: int, prefix: str
) -> None:
    """Draw images of license plates into FOLDER, each with a labelme annotation file.

    The same seed and index always produce the same bytes, regardless of the number of images.  FOLDER is created if it
    does not exist. Existing files are not overwritten; running the command again completes an interrupted set.
    """
    from sightline.demo.plates.draw import draw_dataset

    written = draw_dataset(
        folder, images=images, seed=seed, difficulty=difficulty, size=size, start=start, prefix=prefix
    )
    click.echo(f"{len(written)} images and their annotations in {folder}")
