"""``sightline dataset``: tools that make a new dataset from another."""

from __future__ import annotations

import importlib

import click

COMMANDS = {
    "convert": "Convert a dataset to another format.",
    "crop": "Crop objects to class folders.",
    "explore": "Write a page with statistics of a dataset.",
    "rename": "Copy a dataset under new file names, or back.",
    "sample": "Copy a fraction of every class.",
    "split": "Split a dataset into train, val and test.",
    "sync": "Restrict a COCO file to the images present.",
}
"""Name of each module in this package, which defines ``command``, and its description in ``--help``."""


class _LazyGroup(click.Group):
    """A group whose commands are imported on use."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """The names of all commands."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import and return one command."""
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"sightline.cli.dataset.{cmd_name}").command
        assert isinstance(command, click.Command)  # noqa: S101
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(sorted(COMMANDS.items()))


@click.group(cls=_LazyGroup)
def command() -> None:
    """Make a new dataset from another; the source stays as it is, and nothing is overwritten."""
