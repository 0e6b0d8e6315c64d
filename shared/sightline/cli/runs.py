"""``sightline runs``: the runs in the database, of all users and machines."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sightline.cli.database_option import database_options
from sightline.database import Database, Lineage, RunRow, open_database
from sightline.errors import UnknownNameError
from sightline.own_file import require_own_page

if TYPE_CHECKING:
    from rich.console import RenderableType

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def command() -> None:
    """List, show and compare the runs in the database, of all users and machines."""


@command.command("list")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="Number of runs to show.")
@json_option
@database_options
def list_command(*, url: str, limit: int, as_json: bool) -> None:
    """List the newest runs, each with its best candidates and the champions that were kept."""
    from sightline.report.lineage.document import choices_document, run_document
    from sightline.report.lineage.runs_text import runs_text
    from sightline.report.terminal import terminal

    with closing(open_database(url, create=False)) as database:
        runs = database.runs(limit)
        if _close_abandoned(runs):
            runs = database.runs(limit)
        selections = database.selections(runs)
    if as_json:
        rows = [run_document(run) | choices_document(selections[run.record.run_id]) for run in runs]
        _print_json(rows)
    elif runs:
        _show(runs_text(runs, selections, terminal().width))
    else:
        click.echo("this database has no runs yet; start one: python pipeline.py run --local --recipe NAME")


@command.command("show")
@click.argument("run")
@json_option
@database_options
def show_command(*, url: str, run: str, as_json: bool) -> None:
    """Show a RUN (its id, or the beginning of the id): configuration, models, metrics, decisions, champions."""
    from sightline.report.lineage.document import lineage_document, recipe_document
    from sightline.report.lineage.runs_text import run_text
    from sightline.report.terminal import terminal
    from sightline.runs.tensorboard import tensorboard_of_run

    with closing(open_database(url, create=False)) as database:
        found = _run(database, run)
        decisions = database.decisions(found.asked.name)
    tensorboard = tensorboard_of_run(found)
    if as_json:
        document = lineage_document(found)
        rest = {"models": document["models"], "promotions": document["promotions"]}
        rest["decisions"] = [asdict(one) for one in decisions]
        _print_json(
            document["runs"][0]
            | {"differs_from_recipe": recipe_document(found.runs[0]), "tensorboard": tensorboard}
            | rest
        )
    else:
        _show(run_text(found, terminal().width, tensorboard, decisions))


@command.command("compare")
@click.argument("runs", metavar="A B [MORE...]", nargs=-1, required=True)
@json_option
@click.option(
    "--html", "page", type=click.Path(path_type=Path, dir_okay=False), help="Write a page; runs both models on test."
)
@database_options
def compare_command(*, url: str, runs: tuple[str, ...], as_json: bool, page: Path | None) -> None:
    """Compare run B with run A: configuration, data, code, metrics, time.

    Of three or more runs, and of runs with different folds of a cross-validation (data.fold), mean and spread of the
    metrics are shown.  With --html, the models of the two runs are compared on the same images: differences with
    intervals, classes, and the images that only one of them predicts right.
    """
    from sightline.report.lineage.runs_comparison import compare_runs
    from sightline.report.lineage.runs_spread import is_cross_validation, spread_of_runs
    from sightline.report.lineage.runs_text import comparison_text, spread_text

    if len(runs) < 2:
        raise click.UsageError(
            "give at least two runs, such as the first characters of their ids; list them with sightline runs list"
        )
    if page is not None:
        require_own_page(page)
    with closing(open_database(url, create=False)) as database:
        found = [_run(database, run) for run in runs]
    if len(found) > 2 or is_cross_validation(found):
        if page is not None:
            raise click.UsageError("--html compares two runs of the same fold; give two of them, or leave it out")
        spread = spread_of_runs(found)
        _print_json(spread.document()) if as_json else _show(spread_text(spread))
        return
    comparison = compare_runs(found[0], found[1])
    if page is not None:
        from sightline.cli.runs_compare_page import write_page

        uris = {model.record.sha256: model.record.uri for run in found for model in run.models}
        if reason := write_page(page, comparison, uris):
            click.echo(f"the models could not be run on the same images: {reason}", err=True)
    if as_json:
        _print_json(comparison.document())
    else:
        _show(comparison_text(comparison))
        if page is not None:
            click.echo(f"written: {page}")


def _run(database: Database, name: str) -> Lineage:
    asked = database.named(name, ["run"])
    found = database.lineage(asked)
    if _close_abandoned(found.runs):
        found = database.lineage(asked)
    if not found.runs:
        raise UnknownNameError(
            f"run {found.asked.name} made models in {database}, but the run itself is not in that database; see "
            f"`sightline lineage {found.asked.name}`"
        )
    return found


def _close_abandoned(runs: Iterable[RunRow]) -> bool:
    """Close runs of this machine that are marked as running although their process has ended."""
    running = [run.record.run_id for run in runs if run.state == "running"]
    if not running:
        return False
    from sightline.config.settings import embedded_or_own
    from sightline.runs.abandoned import close_abandoned

    return bool(close_abandoned(Path(embedded_or_own("work", "dir")), running))


def _print_json(document: object) -> None:
    click.echo(json.dumps(document, indent=1, ensure_ascii=False))


def _show(parts: Iterable[RenderableType]) -> None:
    from sightline.report.terminal import show

    show(parts)
