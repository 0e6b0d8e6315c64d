"""The commands of ``pipeline.py`` that use Kubeflow; their dependencies are imported when they run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from sightline.cli.kubeflow.options import (
    Function,
    connected,
    connection_options,
    echo_link,
    echo_put_right,
    experiment_option,
    json_option,
    launch_options,
    pipeline_option,
    print_json,
    set_option,
)
from sightline.cli.kubeflow.uploading import checked, upload_version

if TYPE_CHECKING:
    from sightline.kubeflow.client.connection import Kubeflow
    from sightline.kubeflow.runs.lookup import Run

Compile = Callable[[Sequence[str]], str]
"""Steps -> the compiled text of the pipeline with these steps."""

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def pipeline_name(pipeline: str, steps: Sequence[str], every_step: Sequence[str]) -> str:
    """The name of a pipeline; one with fewer steps has its own, so that schedules follow complete versions."""
    return pipeline if list(steps) == list(every_step) else "-".join([pipeline, *steps])


def run_options(function: Function) -> Function:
    """Add the options of ``run`` that only apply to Kubeflow."""
    for decorate in (connection_options, launch_options, experiment_option, pipeline_option):
        function = decorate(function)
    return function


def refuse_run_options() -> None:
    """Raise if an option was given that only applies to Kubeflow.

    Raises:
        click.UsageError: There is one.
    """
    context = click.get_current_context()
    for parameter in context.command.params:
        name = str(parameter.name)
        own = name in {"local", "recipe", "overrides", "steps"}
        if not own and context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"{parameter.opts[0]} applies to Kubeflow only; remove it, or remove --local")


def start(
    compiled: Callable[[], str], pipeline: str, recipe: str, overrides: Sequence[str], options: dict[str, Any]
) -> None:
    """``run`` on Kubeflow: check, upload what changed, start, and wait if requested."""
    with connected(options, otherwise="python pipeline.py run --local runs on this machine") as kubeflow:
        from sightline.kubeflow.runs.lookup import read_run
        from sightline.kubeflow.runs.submit import start_run

        asked = (recipe, overrides, options["code_rev"] or "image", options["pods"])
        text, parameters = checked(kubeflow, compiled, asked)
        version = upload_version(kubeflow, text, pipeline)
        place = {
            "experiment_id": kubeflow.api.experiment_id(options["experiment"]),
            "service_account": kubeflow.service_account,
        }
        run = read_run(start_run(kubeflow.api, version, parameters, **place))
        _started(kubeflow, run, waiting=options["waiting"])


def _started(kubeflow: Kubeflow, run: Run, *, waiting: bool) -> None:
    click.echo(f"run {run.run_id}  {run.name}")
    echo_link(kubeflow.run_link(run.run_id))
    if waiting:
        from sightline.cli.kubeflow.watch import watch

        sys.exit(watch(kubeflow, run))
    click.echo(f"watch it: python pipeline.py status {run.run_id[:8]} --watch")


@click.command("rerun")
@click.argument("run")
@set_option
@launch_options
@connection_options
def rerun_command(run: str, overrides: tuple[str, ...], **options: Any) -> None:  # noqa: ANN401
    """Repeat a RUN with changes.

    Prints the differences.
    """
    from sightline.errors import ConfigurationError
    from sightline.kubeflow.runs.launch import launch
    from sightline.kubeflow.runs.lookup import find_run
    from sightline.kubeflow.runs.parameters import changed_parameters, difference
    from sightline.kubeflow.runs.submit import version_of

    with connected(options) as kubeflow:
        before = find_run(kubeflow.api, run)
        version = version_of(kubeflow.api, before)
        given = (overrides, options["code_rev"], options["pods"])
        try:
            parameters = changed_parameters(version.parameters, before.parameters, *given)
        except ConfigurationError as error:
            raise ConfigurationError(
                f"run {before.run_id} cannot be repeated: {error}\nfix it with --set, or start a new run with `run`"
            ) from error
        rows = difference(before.parameters, parameters)
        click.echo(f"like run {before.run_id}  {before.name}" + ("" if rows else ", with nothing changed"))
        for name, old, new in rows:
            click.echo(f"  {name}: {old or '(not set)'} -> {new or '(not set)'}")
        again = launch(
            kubeflow,
            version,
            parameters,
            experiment_id=before.experiment_id,
            service_account=options["service_account"] or before.service_account,
            description=f"like run {before.run_id}",
        )
        _started(kubeflow, again, waiting=options["waiting"])


@click.command("resume")
@click.argument("run")
@click.option("--wait", "waiting", is_flag=True, help="Wait for the end; exit 1 unless the run succeeds.")
@connection_options
def resume_command(run: str, waiting: bool, **options: Any) -> None:  # noqa: ANN401
    """Resume a RUN that failed or was stopped.

    Finished tasks are kept; the others run again.
    """
    from sightline.kubeflow.runs.lookup import find_run, resume
    from sightline.kubeflow.runs.rows import note_resume

    with connected(options) as kubeflow:
        found = find_run(kubeflow.api, run)
        resume(kubeflow.api, found)
        note_resume(found)
        _started(kubeflow, found, waiting=waiting)


@click.command("stop")
@click.argument("run")
@connection_options
def stop_command(run: str, **options: Any) -> None:  # noqa: ANN401
    """Stop a RUN; it can be resumed later."""
    from sightline.errors import SightlineError
    from sightline.kubeflow.runs.lookup import find_run, stop
    from sightline.kubeflow.runs.rows import note_stop, take_back_stop

    with connected(options) as kubeflow:
        found = find_run(kubeflow.api, run)
        noted = not found.ended and note_stop(found)
        try:
            stop(kubeflow.api, found)
        except SightlineError:
            if noted:
                take_back_stop(found)
            raise
        if not noted:
            click.echo("the run is not in the database of this machine, so it is not recorded who stopped it")
        click.echo(f"stopping run {found.run_id}  {found.name}; `resume {found.run_id[:8]}` resumes it")


@click.command("list")
@click.option("--limit", type=click.IntRange(1, 200), default=20, show_default=True, help="Number of runs to show.")
@json_option
@connection_options
def list_command(limit: int, as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """List the newest runs on Kubeflow."""
    from sightline.kubeflow.runs.lookup import read_run

    with connected(options) as kubeflow:
        runs = [read_run(document) for document in kubeflow.api.runs(limit)]
        echo_put_right(runs)
    if as_json:
        keys = ("run_id", "name", "state", "parameters", "seconds")
        print_json([{k: getattr(run, k) for k in keys} | {"created": run.created.isoformat()} for run in runs])
    elif runs:
        from sightline.kubeflow.watch.text import runs_text
        from sightline.report.terminal import show

        show(runs_text(runs))
    else:
        click.echo("there are no runs yet; start one: python pipeline.py run --recipe NAME --set data.tag=TAG")


def register(
    group: click.Group, compile_yaml: Compile, every_step: Sequence[str], steps_option: Decorator, image: str
) -> None:
    """Add the commands to the group of ``pipeline.py``, which passes in how to compile the pipeline."""
    from sightline.cli.kubeflow.code import command as publish_code_command
    from sightline.cli.kubeflow.doctor import doctor_command
    from sightline.cli.kubeflow.schedule import schedule_group
    from sightline.cli.kubeflow.watch import fetch_command, logs_command, status_command

    @click.command("upload")
    @steps_option
    @pipeline_option
    @connection_options
    def upload_command(steps: tuple[str, ...], pipeline: str, **options: Any) -> None:  # noqa: ANN401
        """Upload the pipeline if it changed.

        It becomes a new pipeline, or a new version that is named by its content.
        """
        with connected(options) as kubeflow:
            upload_version(kubeflow, compile_yaml(steps), pipeline_name(pipeline, steps, every_step))

    commands = (
        upload_command,
        rerun_command,
        resume_command,
        status_command,
        logs_command,
        stop_command,
        list_command,
        fetch_command,
        schedule_group(compile_yaml, every_step),
        publish_code_command,
        doctor_command(image, lambda: compile_yaml(every_step)),
    )
    for command in commands:
        group.add_command(command)
