"""The database that a command uses: --url, or the one in the configuration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from sightline.cli.configuration_option import configuration_options, configured
from sightline.config.settings import embedded_or_own


def database_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add --url, --recipe and --set to a command; the function receives a single ``url``."""

    def with_url(url: str, recipe: str, overrides: tuple[str, ...], **rest: Any) -> None:  # noqa: ANN401
        function(url=url or _configured(recipe, overrides), **rest)

    with_url.__doc__ = function.__doc__
    url_option = click.option("--url", default="", help="SQLAlchemy URL without a password; default: database.url.")
    return url_option(configuration_options(with_url))


def _configured(recipe: str, overrides: tuple[str, ...]) -> str:
    if recipe or overrides:
        return configured(recipe, overrides).database.url
    return embedded_or_own("database", "url")
