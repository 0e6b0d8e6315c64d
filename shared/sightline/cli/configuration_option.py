"""``--recipe`` and ``--set``: the configuration that a command uses."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from sightline.config.schema import Config

_OPTIONS = (
    click.option("--recipe", default="", help="Recipe of the configuration; default: only the settings file."),
    click.option(
        "--set",
        "overrides",
        multiple=True,
        metavar="A.B=VALUE",
        help="Change the configuration, as for a run; repeatable.",
    ),
)


def configuration_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add --recipe and --set to a command; the function receives ``recipe`` and ``overrides``."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def configured(recipe: str, overrides: tuple[str, ...]) -> Config:
    """The configuration of a recipe, or of the settings file alone if ``recipe`` is empty."""
    from sightline.config.decode import decode, decode_places

    return decode(recipe, overrides) if recipe else decode_places(overrides)
