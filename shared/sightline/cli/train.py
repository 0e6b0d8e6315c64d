"""``sightline train``: try a recipe on recorded data before a long training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from sightline.config.schema import Config
    from sightline.data.repository.checkout import Checkout
    from sightline.registry.results import RecordResult
    from sightline.steps.rehearsal import Proof

SHOWN_RATES = 20


@click.group("train")
def command() -> None:
    """Try a recipe on recorded data before a long training."""


def _settings(function: click.decorators.FC) -> click.decorators.FC:
    given = click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a key; repeatable.")
    return click.argument("recipe", metavar="RECIPE")(given(function))


@command.command("prove-resume")
@_settings
@click.option(
    "--iterations", type=click.IntRange(min=4), default=12, show_default=True, help="Length of each training."
)
def prove(*, recipe: str, overrides: tuple[str, ...], iterations: int) -> None:
    """Check that a killed training is resumed exactly, on this machine and your data.

    Trains twice for a few iterations: once without a kill; once killed in the middle and resumed. Compares losses,
    gradients, metrics and final weights. RECIPE is the name of a recipe or the path of a YAML file; data.tag must be
    recorded. Exits with 1 if anything differs.
    """
    from sightline.steps.rehearsal import prove_resume
    from sightline.temporary_folder import temporary_folder

    with _recorded(recipe, overrides) as (config, record, source), temporary_folder("rehearsal") as folder:
        proof = prove_resume(config, "rehearsal", record, source, Path(folder), iterations=iterations)
    _show_proof(proof)
    if not proof.holds:
        raise click.exceptions.Exit(1)


def _show_proof(proof: Proof) -> None:
    click.echo(f"{'iteration':>9}  {'undisturbed':>12}  {'resumed':>12}")
    for one in proof.losses:
        same = "equal" if one.undisturbed == one.resumed else f"differs by {one.resumed - one.undisturbed:g}"
        mark = "  <- killed after this" if one.iteration == proof.killed_after else ""
        click.echo(f"{one.iteration:>9}  {one.undisturbed:>12.6f}  {one.resumed:>12.6f}  {same}{mark}")
    click.echo(f"killed after iteration {proof.killed_after}, resumed from the checkpoint of {proof.resumed_after}")
    if proof.holds:
        click.echo("proved: losses, gradients, metrics and final weights are equal bit for bit")
        return
    weights = "equal" if proof.same_weights else "not equal"
    click.echo(
        f"not proved: {len(proof.different)} values differ, by at most {proof.largest_difference:.1e} of their size; "
        f"the final weights are {weights}. On a GPU, differences of about 1e-3 come from kernels that are not "
        "deterministic: two undisturbed trainings differ as well."
    )


@command.command("find-rate")
@_settings
@click.option("--lowest", type=click.FloatRange(min=0, min_open=True), default=1e-6, show_default=True)
@click.option("--highest", type=click.FloatRange(min=0, min_open=True), default=1.0, show_default=True)
@click.option("--steps", type=click.IntRange(min=10), default=100, show_default=True, help="Number of rates to try.")
def find(*, recipe: str, overrides: tuple[str, ...], lowest: float, highest: float, steps: int) -> None:
    """Try rising learning rates, one batch each, and suggest train.learning_rate.

    RECIPE is the name of a recipe or the path of a YAML file; data.tag must be recorded. Nothing is kept.
    """
    from sightline.engine.group import Group
    from sightline.engine.initial_weights import load_initial_weights
    from sightline.engine.rate_finder import find_rate
    from sightline.engine.training import open_training
    from sightline.models.device import choose_device
    from sightline.temporary_folder import temporary_folder

    with _recorded(recipe, overrides) as (config, record, source), temporary_folder("rehearsal") as folder:
        train = config.train.model_copy(update={"iterations": steps, "epochs": 0.0})
        short = config.model_copy(update={"train": train})
        device = choose_device(train.device)
        training = open_training(
            short, "rehearsal", record, source, files=Path(folder), device=device, group=Group(device=device)
        )
        load_initial_weights(short, training)
        test = find_rate(training, lowest=lowest, highest=highest, steps=steps)
    highest_loss = max(test.losses)
    for place in range(0, len(test.rates), max(1, len(test.rates) // SHOWN_RATES)):
        bar = "#" * round(40 * test.losses[place] / highest_loss)
        click.echo(f"{test.rates[place]:>9.1e}  {test.losses[place]:>9.4f}  {bar}")
    end = f"the loss diverged above {test.rates[-1]:.1e}; " if test.ended_early else ""
    click.echo(f"{end}suggested: --set train.learning_rate={test.suggested:g}")


@contextmanager
def _recorded(recipe: str, overrides: tuple[str, ...]) -> Iterator[tuple[Config, RecordResult, Checkout]]:
    """The configuration, its recorded training set, and the files of the training set on this machine."""
    from sightline.config.decode import decode
    from sightline.config.digest import config_digest
    from sightline.data.tags import DatasetTag
    from sightline.errors import StepError
    from sightline.evaluation.inference import training_set_on_disk
    from sightline.registry.results import RecordResult
    from sightline.registry.store import latest_result
    from sightline.runs.configuration_checks import check_configuration
    from sightline.storage import open_storage

    config = decode(recipe, overrides)
    check_configuration(config)
    storage = open_storage(config.storage.uri)
    tag = DatasetTag.parse(config.data.tag).training
    record = latest_result(storage, RecordResult, str(tag), config_digest("record", config))
    if record is None:
        raise StepError(
            f"{tag} is not recorded with this configuration in {storage.uri}; record it first: python pipeline.py run "
            f"--local --recipe {recipe} --set data.tag={config.data.tag} --steps record"
        )
    with training_set_on_disk(config, record.training_tag, record.training_commit) as source:
        yield config, record, source
