"""``sightline demo``: the generators of demo images."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import get_args

import click

from sightline.demo.plates.difficulty import Difficulty

_GENERATORS = {
    "plates": "sightline.demo.plates.draw",
    "figures": "sightline.demo.figures.draw",
    "tyres": "sightline.demo.tyres.draw",
    "faces": "sightline.demo.faces.draw",
}
"""Module of each kind of images: ``draw_dataset`` and ``DEFAULT_SIZE``."""


def _image_size(_context: click.Context, _parameter: click.Parameter, value: str | None) -> tuple[int, int] | None:
    """Read ``384x288``."""
    if value is None:
        return None
    match = re.fullmatch(r"(\d+)x(\d+)", value)
    if match is None:
        raise click.BadParameter(f"{value!r} is not a size; expected width x height in pixels, such as 384x288")
    return int(match[1]), int(match[2])


@click.group("demo")
def command() -> None:
    """Generate demo images with annotations: license plates, figures, tyres, faces."""


@command.command("draw")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--kind",
    type=click.Choice(tuple(_GENERATORS)),
    default="plates",
    show_default=True,
    help="What the images show.",
)
@click.option("--images", type=click.IntRange(min=1), default=400, show_default=True, help="Number of images.")
@click.option(
    "--seed", type=int, default=0, show_default=True, help="Random seed; a different one draws different images."
)
@click.option(
    "--difficulty",
    type=click.Choice(get_args(Difficulty)),
    help="How small, tilted, blurred, noisy and faint the plates are; only for plates.  [default: easy]",
)
@click.option(
    "--figures",
    type=click.IntRange(1, 3),
    help="Largest number of figures in an image; only for figures.  [default: 3]",
)
@click.option(
    "--size",
    metavar="WxH",
    callback=_image_size,
    help="Width and height of the images, in pixels.  [default: 384x288 for plates and figures, 256x256 for tyres, "
    "176x176 for faces]",
)
@click.option("--start", type=click.IntRange(min=0), default=0, show_default=True, help="Index of the first image.")
@click.option("--prefix", default="", help="Prefix of the file names.")
def draw(
    *,
    folder: Path,
    kind: str,
    images: int,
    seed: int,
    difficulty: Difficulty | None,
    figures: int | None,
    size: tuple[int, int] | None,
    start: int,
    prefix: str,
) -> None:
    """Draw images into FOLDER, with annotations.

    Kinds: plates are Korean-style license plates, labeled character by character with labelme. Figures are people in
    many poses with 13 keypoints each, also labelme. Tyres are good or have a defect, with one folder per class. Faces
    come several a person, with mask, gender and age in labels.csv.

    The same seed and index always produce the same bytes, regardless of the number of images.  FOLDER is created if it
    does not exist. Existing files are not overwritten; running the command again completes an interrupted set.
    """
    generator = import_module(_GENERATORS[kind])
    options: dict[str, object] = {}
    if difficulty is not None:
        if kind != "plates":
            raise click.UsageError(f"--difficulty is only for --kind plates, not for {kind}")
        options["difficulty"] = difficulty
    if figures is not None:
        if kind != "figures":
            raise click.UsageError(f"--figures is only for --kind figures, not for {kind}")
        options["most"] = figures
    written = generator.draw_dataset(
        folder, images=images, seed=seed, size=size or generator.DEFAULT_SIZE, start=start, prefix=prefix, **options
    )
    click.echo(f"{len(written)} images and their annotations in {folder}")
