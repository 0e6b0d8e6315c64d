"""The help of every command, whole: it is what most users read first."""

import click
import pytest

import pipeline
from sightline.cli import cli
from tests.golden import compare


def commands(command, path, parent=None):
    """Each command below this one, with its context."""
    context = click.Context(command, info_name=path[-1], parent=parent, terminal_width=100)
    yield " ".join(path), command.get_help(context)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            yield from commands(command.get_command(context, name), [*path, name], context)


@pytest.mark.parametrize("program", ["sightline", "pipeline.py"])
def test_help_of_every_command(program):
    texts = dict(commands({"sightline": cli, "pipeline.py": pipeline.cli}[program], [program]))
    assert len(texts) > 10
    compare("\n\n".join(f"$ {name} --help\n{text}" for name, text in texts.items()))
