"""``status``, ``logs`` and ``fetch``: state, logs and results of a run."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sightline.cli.kubeflow.options import (
    connected,
    connection_options,
    echo_link,
    echo_put_right,
    json_option,
    print_json,
)

if TYPE_CHECKING:
    from sightline.kubeflow.client.connection import Kubeflow
    from sightline.kubeflow.runs.graph import Vertex
    from sightline.kubeflow.runs.lookup import Run
    from sightline.kubeflow.watch.status import RunStatus
    from sightline.kubeflow.watch.task_states import TaskStatus


@click.command("status")
@click.argument("run", default="")
@click.option("--watch", "watching", is_flag=True, help="Follow the run until it ends; resume it if pods are lost.")
@json_option
@connection_options
def status_command(run: str, watching: bool, as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """Show the state of a RUN: its tasks as a tree.

    Without RUN, the newest one.  Shows why tasks wait or failed.
    """
    if watching and as_json:
        raise click.UsageError("--watch and --json cannot be combined")
    from sightline.kubeflow.runs.lookup import find_run
    from sightline.kubeflow.watch.status import run_status

    with connected(options) as kubeflow:
        found = find_run(kubeflow.api, run)
        if watching:
            sys.exit(watch(kubeflow, found))
        status = run_status(kubeflow, found)
        echo_put_right([found])
    if as_json:
        print_json(_document(status))
    else:
        _show(status)


def watch(kubeflow: Kubeflow, run: Run) -> int:
    """Show a run until it ends: as an updated tree on a terminal, otherwise as a line for each change.

    Returns:
        0 if it succeeded, 130 if the user interrupted the command, otherwise 1.
    """
    from sightline.kubeflow.watch.status import run_graph, run_status

    graph = run_graph(kubeflow, run)
    try:
        run = _watched(kubeflow, run, graph)
    except KeyboardInterrupt:
        click.echo(f"the run continues; watch it again: python pipeline.py status {run.run_id[:8]} --watch")
        return 130
    _show(run_status(kubeflow, run, graph))
    echo_put_right([run])
    return 0 if run.state == "succeeded" else 1


def _watched(kubeflow: Kubeflow, run: Run, graph: tuple[Vertex, ...]) -> Run:
    from sightline.kubeflow.runs.launch import wait
    from sightline.kubeflow.watch.status import run_status

    if sys.stdout.isatty():
        from rich.console import Group
        from rich.live import Live

        from sightline.kubeflow.watch.text import status_text
        from sightline.report.terminal import terminal

        console = terminal()
        with Live(console=console, auto_refresh=False, transient=True) as live:

            def draw(seen: Run) -> None:
                status = run_status(kubeflow, seen, graph)
                live.update(Group(*status_text(status)), refresh=True)

            return wait(kubeflow, run, draw)
    said: dict[tuple[str, ...], tuple[str, str]] = {}
    return wait(kubeflow, run, lambda seen: _say(run_status(kubeflow, seen, graph), said))


def _say(status: RunStatus, said: dict[tuple[str, ...], tuple[str, str]]) -> None:
    from sightline.kubeflow.watch.task_states import tasks_of

    for path, task in tasks_of(status.tasks):
        now = (task.state, task.reason)
        if said.get(path, ("not yet", "")) != now:
            click.echo(f"{task.title}: {task.state}" + (f": {task.reason}" if task.reason else ""))
        said[path] = now


def _show(status: RunStatus) -> None:
    from sightline.kubeflow.watch.text import status_text
    from sightline.report.terminal import show

    show(status_text(status))
    echo_link(status.link)


def _document(status: RunStatus) -> dict[str, Any]:
    run = status.run
    return {
        "run_id": run.run_id,
        "name": run.name,
        "state": run.state,
        "created": run.created.isoformat(),
        "seconds": run.seconds,
        "parameters": run.parameters,
        "dashboard": status.link,
        "tasks": _tasks_document(status.tasks),
        "notes": list(status.notes),
    }


def _tasks_document(tasks: Iterable[TaskStatus]) -> list[dict[str, Any]]:
    keys = ("name", "title", "kind", "state", "host", "retries", "reason", "metrics", "pod", "image")
    return [
        {key: getattr(task, key) for key in keys}
        | {
            "started": task.started.isoformat() if task.started else None,
            "finished": task.finished.isoformat() if task.finished else None,
            "log": list(task.log),
            "tasks": _tasks_document(task.inside),
        }
        for task in tasks
    ]


@click.command("logs")
@click.argument("run")
@click.argument("task", default="")
@click.option("-f", "--follow", is_flag=True, help="Follow the log until the task ends; needs TASK.")
@click.option("--raw", is_flag=True, help="Include the lines that Kubeflow adds.")
@connection_options
def logs_command(run: str, task: str, follow: bool, raw: bool, **options: Any) -> None:  # noqa: ANN401
    """Print the log of a TASK of a RUN, or of all its tasks.

    Also works after the pods are gone if Kubeflow archives logs.
    """
    if follow and not task:
        raise click.UsageError("--follow needs the name of a task")
    from sightline.errors import NotThereError
    from sightline.kubeflow.runs.lookup import find_run
    from sightline.kubeflow.watch.log_lines import own_lines
    from sightline.kubeflow.watch.logs import find_tasks, follow_log, task_log
    from sightline.kubeflow.watch.status import run_status

    with connected(options) as kubeflow:
        found = find_run(kubeflow.api, run)
        if follow:
            lines = follow_log(kubeflow, found, task)
            for line in lines if raw else own_lines(lines):
                click.echo(line)
            return
        for one in find_tasks(run_status(kubeflow, found), task):
            if not task:
                click.echo(f"==> {one.name} <==")
            try:
                lines = task_log(kubeflow, found, one)
                for line in lines if raw else own_lines(lines):
                    click.echo(line)
            except NotThereError as error:
                if task:
                    raise
                click.echo(f"({error})")


@click.command("fetch")
@click.argument("run")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    help="Folder to write to; default: the run's id.",
)
@connection_options
def fetch_command(run: str, output: Path | None, **options: Any) -> None:  # noqa: ANN401
    """Download the pages and best candidates of a RUN into a folder."""
    from sightline.kubeflow.runs.fetch import fetch
    from sightline.kubeflow.runs.lookup import find_run

    with connected(options) as kubeflow:
        found = find_run(kubeflow.api, run)
        folder = output or Path(found.run_id)
        for path in fetch(kubeflow, found, folder):
            click.echo(str(path))
