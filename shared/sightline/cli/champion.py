"""``sightline champion``: the champions in the result bucket, their history, and changes by hand."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sightline.cli.configuration_option import configuration_options, configured
from sightline.data.tags import DatasetTag
from sightline.errors import DatabaseError, PreconditionFailedError, StepError

if TYPE_CHECKING:
    from sightline.config.schema import Config
    from sightline.database import Database
    from sightline.evaluation.champion_by_hand import ByHand, Outcome
    from sightline.registry.champion_history import ChampionHistory
    from sightline.registry.champions import ChampionName
    from sightline.storage import Storage


class _ReasonType(click.ParamType[str]):
    """Text on one line."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ANN401
        from sightline.registry.champions import MAX_REASON

        reason = " ".join(str(value).split())
        if not reason:
            self.fail("the reason is empty; say in one sentence why the champion is changed", param, ctx)
        if len(reason) > MAX_REASON:
            self.fail(f"{len(reason)} characters, the limit is {MAX_REASON}; shorten it", param, ctx)
        if not reason.isprintable() or reason.encode("utf-8", "replace").decode() != reason:
            self.fail(f"{reason!r} contains characters that cannot be printed; remove them", param, ctx)
        return reason


metric_option = click.option("--metric", default="", help="Metric of the champion; needed if there are several.")
task_option = click.option("--task", default="", help="Task of the champion; needed if there are several.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
reason_option = click.option("--reason", type=_ReasonType(), required=True, help="Why, in one sentence; recorded.")


def places(function: Callable[..., None]) -> Callable[..., None]:
    """Add --recipe and --set to a command; the function receives a single ``config``."""

    def with_config(recipe: str, overrides: tuple[str, ...], **rest: Any) -> None:  # noqa: ANN401
        function(config=configured(recipe, overrides), **rest)

    with_config.__doc__ = function.__doc__
    return configuration_options(with_config)


@click.group("champion")
def command() -> None:
    """List champions, show their history, and promote or roll back by hand."""


@command.command("list")
@click.argument("dataset", default="")
@json_option
@places
def list_command(*, config: Config, dataset: str, as_json: bool) -> None:
    """List the champions of a DATASET, or of all datasets."""
    from sightline.report.champions_text import champions_table
    from sightline.report.terminal import show

    found = _histories(config, dataset, "", "")
    if as_json:
        _print_json([one.document(history=False) for one in found])
    elif found:
        show([champions_table(found)])
        _explain(found)
    else:
        click.echo(f"{config.storage.uri} has no champions" + (f" of {dataset}" if dataset else ""))


@command.command("show")
@click.argument("dataset")
@metric_option
@task_option
@json_option
@places
def show_command(*, config: Config, dataset: str, metric: str, task: str, as_json: bool) -> None:
    """Show the champions of a DATASET: the model, its value, who promoted it, and why."""
    from sightline.report.champions_text import champion_facts
    from sightline.report.terminal import show

    found = _histories(config, dataset, metric, task, needed=True)
    if as_json:
        _print_json([one.document(history=False) for one in found])
    else:
        show(part for one in found for part in champion_facts(one))
        _explain(found)


@command.command("history")
@click.argument("dataset")
@metric_option
@task_option
@json_option
@places
def history_command(*, config: Config, dataset: str, metric: str, task: str, as_json: bool) -> None:
    """Show all promotions of a DATASET, the newest first.

    Each with its number, time, action, actor, models, values, reason and evidence (URI of the evaluation).
    """
    from sightline.report.champions_text import history_text
    from sightline.report.terminal import show

    found = _histories(config, dataset, metric, task, needed=True)
    if as_json:
        _print_json([one.document(history=True) for one in found])
    else:
        show(part for one in found for part in history_text(one))
        _explain(found)


@command.command("promote")
@click.argument("dataset")
@click.argument("model", metavar="MODEL")
@metric_option
@task_option
@reason_option
@places
def promote_command(*, config: Config, dataset: str, model: str, metric: str, task: str, reason: str) -> None:
    """Make MODEL the champion of a DATASET, whatever the gate would say.

    MODEL is the path or URI of a model file, its SHA-256 (the first six digits are enough), or champion:DATASET
    (champion:DATASET/METRIC if the dataset has several champions).  It must have the task, dataset and classes of the
    champion.  A model that no evaluation has compared with the champion is recorded as "by hand, uncompared".
    """
    from sightline.evaluation.champion_by_hand import ByHand
    from sightline.models.model_file import read_card
    from sightline.prediction.models import find_model
    from sightline.registry.actor import person

    with tempfile.TemporaryDirectory() as folder:
        path = find_model(model, folder, storage_uri=config.storage.uri, database_url=config.database.url)
        storage, database = _open(config)
        with closing(database):
            name = _new_name(storage, dataset, metric, task, read_card(path).task)
            _carry_out(ByHand(storage, database, name, person(), reason, Path(folder)), lambda one: one.promote(path))


@command.command("rollback")
@click.argument("dataset")
@metric_option
@task_option
@click.option(
    "--to",
    "number",
    type=click.IntRange(min=1),
    help="Number of the promotion to return to.  [default: the champion before the present one]",
)
@reason_option
@places
def rollback_command(*, config: Config, dataset: str, metric: str, task: str, number: int | None, reason: str) -> None:
    """Make an earlier champion of a DATASET the champion again.

    The rollback is a new promotion: the history is never rewritten, and a rollback can be rolled back.
    """
    from sightline.evaluation.champion_by_hand import ByHand
    from sightline.registry.actor import person

    storage, database = _open(config)
    with closing(database), tempfile.TemporaryDirectory() as folder:
        name = _one(_names(storage, dataset, metric, task), dataset)
        _carry_out(ByHand(storage, database, name, person(), reason, Path(folder)), lambda one: one.roll_back(number))


def _open(config: Config) -> tuple[Storage, Database]:
    from sightline.database import open_database
    from sightline.storage import open_storage

    return open_storage(config.storage.uri), open_database(config.database.url)


def _histories(config: Config, dataset: str, metric: str, task: str, *, needed: bool = False) -> list[ChampionHistory]:
    """The histories of the chosen champions; without the database if it cannot be reached."""
    from sightline.database import open_database
    from sightline.registry.champion_history import read_history
    from sightline.storage import open_storage

    storage = open_storage(config.storage.uri)
    names = _names(storage, dataset, metric, task, needed=needed)
    if not names:
        return []
    try:
        database = open_database(config.database.url)
    except DatabaseError as error:
        click.echo(f"note: the database was left as it is: {error}", err=True)
        return [read_history(storage, None, name) for name in names]
    with closing(database):
        return [read_history(storage, database, name) for name in names]


def _names(storage: Storage, dataset: str, metric: str, task: str, *, needed: bool = True) -> list[ChampionName]:
    """The chosen champions.

    Raises:
        StepError: There are none, although some are needed.
    """
    from sightline.registry.named_champion import champion_names

    there = champion_names(storage, dataset)
    chosen = [name for name in there if metric in {"", name.metric} and task in {"", name.task}]
    if not chosen and needed:
        others = f"it has those of {_listed(there)}" if there else "it has none of this dataset"
        asked = " ".join([dataset, *([f"by {metric}"] if metric else []), *([f"({task})"] if task else [])])
        raise StepError(f"{storage.uri} has no champion of {asked}; {others}; see `sightline champion list`")
    return chosen


def _one(names: list[ChampionName], dataset: str) -> ChampionName:
    if len(names) > 1:
        raise StepError(
            f"{dataset} has several champions: {_listed(names)}; choose one with --metric"
            + (" and --task" if len({name.task for name in names}) > 1 else "")
        )
    return names[0]


def _new_name(storage: Storage, dataset: str, metric: str, task: str, task_of_model: str) -> ChampionName:
    """The champion that a model is to become: one that exists, or the first one of a dataset.

    Raises:
        StepError: It is not clear which one.
    """
    from sightline.config.task_declarations import known_metrics
    from sightline.registry.champions import ChampionName

    there = _names(storage, dataset, metric, task, needed=False)
    of_task = [name for name in there if name.task == task_of_model]
    if of_task or there:
        return _one(of_task or there, dataset)
    known = list(known_metrics([task or task_of_model]))
    if not metric:
        others = _names(storage, dataset, "", "", needed=False)
        there_are = f"it has champions of {_listed(others)}" if others else "it has no champions yet"
        raise StepError(
            f"the metric of the new champion of {dataset} is missing ({there_are}); add --metric, such as "
            f"--metric {known[0]}"
        )
    if metric not in known:
        raise StepError(
            f"--metric {metric}: {dataset} has no champion by it, and it is not a metric of {task or task_of_model}; "
            f"expected one of {', '.join(known)}"
        )
    return ChampionName(DatasetTag(dataset, "train", "v1").dataset, metric, task or task_of_model)


def _carry_out(by_hand: ByHand, work: Callable[[ByHand], Outcome]) -> None:
    """Change a champion, and say what was done."""
    name = by_hand.name
    try:
        outcome = work(by_hand)
    except PreconditionFailedError as error:
        raise StepError(
            f"another run or command changed the champion of {name} at the same time, so this command changed nothing; "
            f"look at `sightline champion history {name.dataset} --metric {name.metric}`, then decide again"
        ) from error
    if not outcome.changed:
        click.echo(f"nothing to do: {outcome.note}")
        return
    pointer, before = outcome.pointer, outcome.before
    was = "there was none" if before is None else f"before: {before.sha256[:12]}"
    click.echo(
        f"{pointer.sha256[:12]} is the champion of {name} now ({was}); promotion {pointer.sequence}, {pointer.action}"
    )


def _listed(names: Iterable[ChampionName]) -> str:
    return ", ".join(str(name) for name in names)


def _explain(found: Iterable[ChampionHistory]) -> None:
    for one in found:
        for note in one.notes:
            click.echo(f"note: {one.name}: {note}", err=True)


def _print_json(document: object) -> None:
    click.echo(json.dumps(document, indent=1, ensure_ascii=False))
