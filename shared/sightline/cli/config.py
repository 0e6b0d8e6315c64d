"""``sightline config``: what a recipe and its overrides amount to, before anything starts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import click
import yaml

from sightline.config.decode import decode, recipe_names

Command = TypeVar("Command", bound=Callable[..., None])


@click.group()
def command() -> None:
    """Show and check configurations."""


def configuration_options(function: Command) -> Command:
    """The arguments that name a configuration: a recipe, and overrides."""
    overrides = click.option(
        "--set", "overrides", multiple=True, metavar="A.B=VALUE", help="Change the recipe; may be repeated."
    )
    recipe = click.argument("recipe", default="plates")
    return recipe(overrides(function))


@command.command()
@configuration_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON in one line, as the components take it.")
def show(recipe: str, overrides: tuple[str, ...], as_json: bool) -> None:
    """Print the full configuration as YAML: embedded defaults < RECIPE < settings file < --set."""
    config = decode(recipe, overrides)
    if as_json:
        click.echo(config.model_dump_json())
        return
    document = config.model_dump(mode="json")
    click.echo(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), nl=False)


@command.command()
@configuration_options
def check(recipe: str, overrides: tuple[str, ...]) -> None:
    """Check a configuration; every fault is reported at once."""
    decode(recipe, overrides)
    click.echo(f"{recipe}: no fault")


@command.command("list")
def list_command() -> None:
    """The recipes that come with Sightline."""
    for name in recipe_names():
        click.echo(name)
