"""``sightline dataset sample``: a fraction of every class."""

from __future__ import annotations

from pathlib import Path

import click

from sightline.cli.columns import padded, widest
from sightline.cli.dataset.options import done, dry_run_option, out_argument, seed_option, source_argument
from sightline.plural import counted

_UNLABELED = "no label"


@click.command("sample")
@source_argument
@out_argument
@click.option("--fraction", type=float, required=True, help="Fraction of the images of each class, such as 0.1.")
@seed_option
@dry_run_option
def command(source: Path, out: Path, fraction: float, seed: int, *, dry_run: bool) -> None:
    """Copy a fraction of the images of SRC to the new folder OUT.

    SRC contains class folders, each of which is sampled, or labelme files, which are sampled by label; an image with
    several labels counts for the rarest one. At least one image of each is chosen. The same seed chooses the same
    images, and a larger fraction contains the images of a smaller one.
    """
    from sightline.data.tools.sample import sample

    result = sample(source, out, fraction, seed, dry_run=dry_run)
    width = widest(label or _UNLABELED for label in result.chosen)
    for label, count in result.chosen.items():
        name = padded(label or _UNLABELED, width)
        click.echo(f"  {name}  {count:,} of {counted(result.available[label], 'image')}")
    if result.other:
        click.echo(f"not copied: {counted(len(result.other), 'file')} that belong to no labeled image")
    click.echo(done(f"{counted(sum(result.chosen.values()), 'image')} to {out}", dry_run=dry_run))
