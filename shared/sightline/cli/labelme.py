"""``sightline labelme check``: the former name of ``sightline check``, for one more release."""

from __future__ import annotations

from pathlib import Path

import click

from sightline.cli.check import check as check_folder


@click.group()
def command() -> None:
    """The former name of sightline check."""


@command.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--recipe", metavar="NAME", help="See sightline check.")
@click.option("--set", "overrides", multiple=True, metavar="A.B=VALUE", help="See sightline check.")
def check(folder: Path, recipe: str | None, overrides: tuple[str, ...]) -> None:
    """The former name of sightline check."""
    click.echo("note: sightline labelme check is now sightline check; the next release removes the old name", err=True)
    check_folder(folder, recipe, overrides)
