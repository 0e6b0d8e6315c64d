"""``schedule``: runs that start automatically."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click

from sightline.cli.kubeflow.options import (
    connected,
    connection_options,
    experiment_option,
    json_option,
    pipeline_option,
    print_json,
    set_option,
)
from sightline.cli.kubeflow.uploading import checked, upload_version


@click.group("schedule")
def schedule() -> None:
    """Schedule runs of the newest version of the pipeline."""


@schedule.command("list")
@json_option
@connection_options
def list_command(as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """List all schedules."""
    from sightline.kubeflow.runs.schedules import list_schedules

    with connected(options) as kubeflow:
        found = list_schedules(kubeflow.api)
    if as_json:
        keys = ("schedule_id", "name", "on", "when", "version_id", "parameters")
        print_json([{key: getattr(one, key) for key in keys} for one in found])
    elif found:
        from sightline.kubeflow.watch.text import schedules_text
        from sightline.report.terminal import show

        show(schedules_text(found))
    else:
        click.echo(
            "there are no schedules; add one: python pipeline.py schedule add NAME --every 1d --set data.tag=TAG"
        )


@schedule.command("pause")
@click.argument("names", nargs=-1, required=True)
@connection_options
def pause_command(names: tuple[str, ...], **options: Any) -> None:  # noqa: ANN401
    """Pause schedules: they start no runs until they are resumed."""
    _switch(names, options, on=False)


@schedule.command("resume")
@click.argument("names", nargs=-1, required=True)
@connection_options
def resume_command(names: tuple[str, ...], **options: Any) -> None:  # noqa: ANN401
    """Resume paused schedules."""
    _switch(names, options, on=True)


def _switch(names: tuple[str, ...], options: dict[str, Any], *, on: bool) -> None:
    from sightline.kubeflow.runs.schedules import find_schedules

    with connected(options) as kubeflow:
        for one in find_schedules(kubeflow.api, names):
            kubeflow.api.switch_schedule(one.schedule_id, on=on)
            click.echo(f"{one.name} is {'on' if on else 'paused'}")


@schedule.command("remove")
@click.argument("names", nargs=-1, required=True)
@connection_options
def remove_command(names: tuple[str, ...], **options: Any) -> None:  # noqa: ANN401
    """Remove schedules; their runs are kept."""
    from sightline.kubeflow.runs.schedules import find_schedules

    with connected(options) as kubeflow:
        for one in find_schedules(kubeflow.api, names):
            kubeflow.api.remove_schedule(one.schedule_id)
            click.echo(f"removed {one.name}")


def schedule_group(compile_yaml: Callable[[Sequence[str]], str], every_step: Sequence[str]) -> click.Group:
    """The group with ``add``, which uploads the pipeline if needed."""

    @schedule.command("add")
    @click.argument("name")
    @click.option(
        "--cron", default="", help="'MINUTE HOUR DAY MONTH WEEKDAY', UTC; with six fields, the first is the second."
    )
    @click.option("--every", default="", metavar="INTERVAL", help="Interval, such as 30m, 6h, 7d.")
    @click.option("--recipe", default="", metavar="NAME", help="Recipe; sightline config list shows them.")
    @set_option
    @click.option(
        "--code",
        default="image",
        show_default=True,
        metavar="REVISION",
        help="Code: image, current, or a snapshot's SHA-256.",
    )
    @click.option("--param", "pods", multiple=True, metavar="NAME=VALUE", help="Parameter of the pipeline; repeatable.")
    @experiment_option
    @pipeline_option
    @connection_options
    def add_command(name: str, cron: str, every: str, **options: Any) -> None:  # noqa: ANN401
        """Add the schedule NAME.

        Everything that its runs need is checked first.
        """
        _add(name, cron, every, lambda: compile_yaml(every_step), options)

    return schedule


def _add(name: str, cron: str, every: str, compiled: Callable[[], str], options: dict[str, Any]) -> None:
    from sightline.kubeflow.runs.schedules import add_schedule, require_new, trigger

    when = trigger(cron, every)
    with connected(options) as kubeflow:
        require_new(kubeflow.api, name)
        asked = (options["recipe"], options["overrides"], options["code"], options["pods"])
        text, parameters = checked(kubeflow, compiled, asked)
        version = upload_version(kubeflow, text, options["pipeline"])
        made = add_schedule(
            kubeflow.api,
            name,
            when,
            pipeline_id=version.pipeline_id,
            parameters=parameters,
            experiment=options["experiment"],
            service_account=kubeflow.service_account,
        )
        click.echo(f"{made.name}: {made.when}, with the newest version of {options['pipeline']}")
