"""``sightline dataset split``: train, val and test."""

from __future__ import annotations

from pathlib import Path

import click

from sightline.cli.columns import padded, widest
from sightline.cli.dataset.options import done, dry_run_option, out_argument, seed_option, source_argument
from sightline.plural import counted


@click.command("split")
@source_argument
@out_argument
@click.option("--val", type=float, default=0.2, show_default=True, help="Fraction of the images for val.")
@click.option("--test", type=float, default=0.1, show_default=True, help="Fraction of the images for test.")
@click.option("--group-pattern", default="", metavar="REGEX", help="Its group in an image's path stays together.")
@click.option("--near-duplicates", is_flag=True, help="Keep images that look alike together.")
@seed_option
@dry_run_option
def command(
    source: Path,
    out: Path,
    *,
    val: float,
    test: float,
    group_pattern: str,
    near_duplicates: bool,
    seed: int,
    dry_run: bool,
) -> None:
    """Split SRC into train, val and test in the new folder OUT; classes keep their proportions.

    SRC contains class folders, or is a COCO file or a folder with one, or a YOLO dataset (images/, labels/). Identical
    images, and with --group-pattern images of one group such as a person, are never in two splits.
    """
    from sightline.data.recording.filling import SPLITS
    from sightline.data.tools.assignment import SplitRule
    from sightline.data.tools.split import split

    result = split(source, out, SplitRule(val, test, seed, group_pattern, near_duplicates), dry_run=dry_run)
    width = widest(("images", *result.classes))
    click.echo("  " + " " * width + "".join(f"{one:>8}" for one in SPLITS))
    for name, counts in (*result.classes.items(), ("images", result.images)):
        click.echo(f"  {padded(name, width)}" + "".join(f"{counts[one]:>8,}" for one in SPLITS))
    click.echo(done(f"{counted(sum(result.images.values()), 'image')} ({result.kind}) to {out}", dry_run=dry_run))
