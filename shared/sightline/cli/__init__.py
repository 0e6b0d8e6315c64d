"""The ``sightline`` command; each command group is a module that is imported on use."""

from __future__ import annotations

import importlib
import shlex
import sys
from collections.abc import Sequence
from gc import set_threshold

import click

from sightline.errors import SightlineError
from sightline.extras import EXTRA_OF_MODULE, installation_command
from sightline.logs import configure_logging
from sightline.pod import prepare_pod
from sightline.version import __version__

COMMANDS = {
    "champion": ("sightline.cli.champion", "List champions, show their history, promote and roll back."),
    "check": ("sightline.cli.check", "Check a folder of annotations before a run does."),
    "code": ("sightline.cli.code", "Show the code that cached results depend on."),
    "config": ("sightline.cli.config", "Show and check configurations."),
    "data": ("sightline.cli.data", "Manage data repositories and dataset versions."),
    "dataset": ("sightline.cli.dataset", "Sample, split, convert, crop and explore datasets."),
    "db": ("sightline.cli.db", "Check and upgrade the database schema."),
    "demo": ("sightline.cli.demo", "Generate demo images."),
    "gc": ("sightline.cli.gc", "Show and remove files that are no longer needed."),
    "labelme": ("sightline.cli.labelme", "The former name of check, for one more release."),
    "lineage": ("sightline.cli.lineage", "Show what a model, tag or run was made from, and what was made from it."),
    "model": ("sightline.cli.model", "Inspect, run and export models."),
    "train": ("sightline.cli.train", "Try a recipe on recorded data before a long training."),
    "runs": ("sightline.cli.runs", "List, show and compare runs."),
}
"""Name -> (module that defines the click command ``command``, its description in ``--help``)."""


class LazyGroup(click.Group):
    """A group whose commands are imported on use, so that ``--help`` is fast and needs no torch."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """The names of all commands."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import and return one command."""
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(COMMANDS[cmd_name][0]).command
        assert isinstance(command, click.Command)  # noqa: S101
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in sorted(COMMANDS.items())])


@click.group(cls=LazyGroup)
@click.version_option(__version__, prog_name="sightline")
def cli() -> None:
    """Sightline: from labeled images to a selected, tested and traceable model."""
    configure_logging()


def main() -> None:
    """The ``sightline`` command."""
    run_cli(cli)


def quoted_override(arguments: Sequence[str]) -> str:
    """A ``--set`` value that the shell split at its spaces, joined and quoted again; empty if none was split.

    Example:
        >>> quoted_override(["check", "plates", "--set", "data.classes=[cat,", "dog]"])
        "'data.classes=[cat, dog]'"
    """
    for start, argument in enumerate(arguments):
        if not argument.startswith("--set=") and (start == 0 or arguments[start - 1] != "--set"):
            continue
        for stop in range(start + 1, len(arguments) + 1):
            value = " ".join(arguments[start:stop]).removeprefix("--set=")
            if all(value.count(left) == value.count(right) for left, right in ("[]", "{}")):
                if stop > start + 1:
                    return shlex.quote(value)
                break
    return ""


def run_cli(command: click.Command) -> None:
    """Run a command line and exit; errors meant for the user are printed without a traceback, and exit with 1."""
    prepare_pod()  # a notebook runs in a pod, too
    set_threshold(100_000)  # collecting garbage during imports takes a tenth of the time of a short command
    try:
        code = command.main(standalone_mode=False)  # the argument of ctx.exit; None if the command returned
        sys.exit(code if isinstance(code, int) else 0)
    except click.ClickException as error:
        error.show()
        if isinstance(error, click.UsageError) and (quoted := quoted_override(sys.argv[1:])):
            click.echo(f"Quote a value that contains spaces: --set {quoted}", err=True)
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted; run the same command to resume", err=True)
        sys.exit(130)
    except SightlineError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
    except ModuleNotFoundError as error:
        extra = EXTRA_OF_MODULE.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        missing = f"this command needs {error.name}, which is not installed"
        click.echo(f"error: {missing}; {installation_command(extra)}", err=True)
        sys.exit(1)
    except OSError as error:
        if error.filename is None:
            raise
        click.echo(
            f"error: {error.filename}: {error.strerror}; free space or fix the permissions, then try again",
            err=True,
        )
        sys.exit(1)
