"""``sightline config``: the complete configuration of a recipe and its overrides."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import click
import yaml

from sightline.config.decode import decode, recipe_names, recipe_summary

Command = TypeVar("Command", bound=Callable[..., None])


@click.group()
def command() -> None:
    """Show and check configurations."""


def configuration_options(function: Command) -> Command:
    """The arguments of a configuration: a recipe, and overrides."""
    overrides = click.option(
        "--set", "overrides", multiple=True, metavar="A.B=VALUE", help="Change the recipe; repeatable."
    )
    recipe = click.argument("recipe")
    return recipe(overrides(function))


@command.command()
@configuration_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON on one line, as the components expect it.")
@click.option("--describe", is_flag=True, help="Print meaning, range and default above every key.")
def show(recipe: str, overrides: tuple[str, ...], as_json: bool, describe: bool) -> None:
    """Print the full configuration as YAML: built-in defaults < RECIPE < settings file < --set."""
    if as_json and describe:
        raise click.UsageError("--json and --describe cannot be combined")
    config = decode(recipe, overrides)
    if as_json:
        click.echo(config.model_dump_json())
        return
    document = config.model_dump(mode="json")
    if describe:
        from sightline.config.reference import described

        click.echo(described(document), nl=False)
        return
    click.echo(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), nl=False)


@command.command()
@configuration_options
def check(recipe: str, overrides: tuple[str, ...]) -> None:
    """Check a configuration, including the names and files in it; all errors are reported at once."""
    from sightline.runs.configuration_checks import check_configuration

    check_configuration(decode(recipe, overrides))
    click.echo(f"{recipe}: no errors")


@command.command("list")
def list_command() -> None:
    """List the recipes that come with Sightline."""
    names = recipe_names()
    for name in names:
        click.echo(f"{name:<{max(map(len, names))}}  {recipe_summary(name)}")


@command.command("reference")
def reference_command() -> None:
    """Print docs/configuration.md: every key with meaning, range and default."""
    from sightline.config.reference import markdown

    click.echo(markdown(), nl=False)
