"""``sightline db``: the database and its schema."""

from __future__ import annotations

import click

from sightline.cli.database_option import database_options
from sightline.database.engine.address import shown
from sightline.database.engine.connection import connect
from sightline.database.schema.upgrade import current_revision, differences, head_revision, require_current, upgrade
from sightline.errors import DatabaseError


@click.group()
def command() -> None:
    """Check and upgrade the database schema."""


@command.command("upgrade")
@database_options
def upgrade_command(url: str) -> None:
    """Create the tables, or upgrade them to the schema of this version of Sightline."""
    engine = connect(url)
    before = current_revision(engine)
    upgrade(engine)
    click.echo(f"{shown(engine.url)}: schema {before or 'none'} -> {current_revision(engine)}")


@command.command("current")
@database_options
def current_command(url: str) -> None:
    """Show the schema revision of the database, and the one that this version of Sightline expects."""
    engine = connect(url, create=False)
    click.echo(f"{shown(engine.url)}: schema {current_revision(engine) or 'none'}, expected {head_revision()}")


@command.command("check")
@database_options
def check_command(url: str) -> None:
    """Check that the tables of the database match the schema that this version of Sightline expects."""
    engine = connect(url, create=False)
    require_current(engine)
    found = differences(engine)
    if found:
        raise DatabaseError(
            f"the tables of {shown(engine.url)} were changed manually; undo these changes:\n"
            + "\n".join(f"  {difference}" for difference in found)
        )
    click.echo(f"{shown(engine.url)}: schema {head_revision()}, all tables as expected")
