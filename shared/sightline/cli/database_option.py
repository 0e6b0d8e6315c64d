"""The database that a command uses: --url, or the one in the configuration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from sightline.config.settings import embedded_or_own


def database_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add --url, --recipe and --set to a command; the function receives a single ``url``."""

    def with_url(url: str, recipe: str, overrides: tuple[str, ...], **rest: Any) -> None:  # noqa: ANN401
        function(url=url or _configured(recipe, overrides), **rest)

    with_url.__doc__ = function.__doc__
    options = (
        click.option("--url", default="", help="SQLAlchemy URL without a password; default: database.url."),
        click.option("--recipe", default="", help="Recipe of the configuration; default: only the settings file."),
        click.option(
            "--set",
            "overrides",
            multiple=True,
            metavar="A.B=VALUE",
            help="Change the configuration, as for a run; repeatable.",
        ),
    )
    for option in reversed(options):
        with_url = option(with_url)
    return with_url


def _configured(recipe: str, overrides: tuple[str, ...]) -> str:
    if recipe or overrides:
        from sightline.config.decode import decode, decode_places

        return (decode(recipe, overrides) if recipe else decode_places(overrides)).database.url
    return embedded_or_own("database", "url")
