"""``sightline db``: the database and its schema."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from sightline.config.decode import decode
from sightline.database.address import shown
from sightline.database.connection import connect
from sightline.database.schema import current_revision, differences, head_revision, require_current, upgrade
from sightline.errors import DatabaseError


@click.group()
def command() -> None:
    """The database and its schema."""


def _database_options(function: Callable[..., None]) -> Callable[..., None]:
    """--url, or the configuration that holds it; the function gets one ``url``."""

    def with_url(url: str, recipe: str, overrides: tuple[str, ...], **rest: Any) -> None:  # noqa: ANN401
        function(url or decode(recipe, overrides).database.url, **rest)

    with_url.__doc__ = function.__doc__
    options = (
        click.option("--url", default="", help="SQLAlchemy URL without a password; default: database.url."),
        click.option("--recipe", default="plates", show_default=True, help="Whose configuration to take."),
        click.option("--set", "overrides", multiple=True, metavar="A.B=VALUE", help="Override, as in a run."),
    )
    for option in reversed(options):
        with_url = option(with_url)
    return with_url


@command.command("upgrade")
@_database_options
def upgrade_command(url: str) -> None:
    """Create the tables, or bring them to this Sightline's schema."""
    engine = connect(url)
    before = current_revision(engine)
    upgrade(engine)
    click.echo(f"{shown(engine.url)}: schema {before or 'none'} -> {current_revision(engine)}")


@command.command("current")
@_database_options
def current_command(url: str) -> None:
    """Show the schema of the database, and the one that this Sightline expects."""
    engine = connect(url, create=False)
    click.echo(f"{shown(engine.url)}: schema {current_revision(engine) or 'none'}, expected {head_revision()}")


@command.command("check")
@_database_options
def check_command(url: str) -> None:
    """Fail when the tables of the database are not those that this Sightline expects."""
    engine = connect(url, create=False)
    require_current(engine)
    found = differences(engine)
    if found:
        raise DatabaseError(
            f"the tables of {shown(engine.url)} were changed by hand; undo this:\n"
            + "\n".join(f"  {difference}" for difference in found)
        )
    click.echo(f"{shown(engine.url)}: schema {head_revision()}, all tables as expected")
