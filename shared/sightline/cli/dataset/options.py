"""Arguments and options that several commands of ``sightline dataset`` share."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from sightline.config.data import Data

_ANY_CLASS = "\0"
"""Represents all labels; no real label has this value."""

Command = TypeVar("Command", bound=Callable[..., Any])

source_argument = click.argument("source", metavar="SRC", type=click.Path(path_type=Path))
out_argument = click.argument("out", metavar="OUT", type=click.Path(path_type=Path))
dry_run_option = click.option("--dry-run", is_flag=True, help="Only show what would be written.")
seed_option = click.option("--seed", type=int, default=0, show_default=True, help="Another seed makes another choice.")


def data_options(command: Command) -> Command:
    """The options ``--recipe`` and ``--set``, for :func:`data_of`."""
    command = click.option("--set", "overrides", multiple=True, metavar="A.B=VALUE", help="Change the recipe.")(command)
    return click.option("--recipe", metavar="NAME", help="Recipe with data.classes, data.keypoints and data.faults.")(
        command
    )


def data_of(recipe: str | None, overrides: Sequence[str]) -> tuple[Data, bool]:
    """The section ``data`` of a recipe, and whether it has the classes; without a recipe, every label is accepted."""
    from sightline.cli.suggested_classes import CLASSIFICATION
    from sightline.config.decode import decode

    if recipe is not None:
        return decode(recipe, overrides).data, True
    if any(override.startswith("data.label_sets") for override in overrides):
        return decode(CLASSIFICATION, overrides).data, True
    data = decode("instance_segmentation", [f"data.classes={json.dumps([_ANY_CLASS])}", *overrides]).data
    return data, data.classes != (_ANY_CLASS,)


def done(text: str, *, dry_run: bool) -> str:
    """The last line of a summary."""
    return f"dry run: nothing was written; would write {text}" if dry_run else f"wrote {text}"
