"""Runs, their trees of tasks, and schedules, formatted for a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from sightline.kubeflow.runs.lookup import Run
from sightline.kubeflow.runs.schedules import Schedule
from sightline.kubeflow.watch.status import RunStatus
from sightline.kubeflow.watch.task_states import TaskStatus
from sightline.report.terminal import table
from sightline.report.wording import NOTHING, duration_text
from sightline.runs.step_table import OPEN_ME

STYLES = {
    "succeeded": "green",
    "cached": "green",
    "failed": "bold red",
    "stopped": "yellow",
    "stopping": "yellow",
    "waiting": "yellow",
    "running": "cyan",
    "preparing": "cyan",
    "pending": "cyan",
    "skipped": "dim",
    "not reached": "dim",
    "not yet": "dim",
}
SIGNS = {
    "succeeded": "+",
    "cached": "=",
    "failed": "x",
    "stopped": "x",
    "waiting": "!",
    "running": ">",
    "preparing": ">",
}

GUIDE = 4
"""The columns by which each level of the tree is indented."""

WIDEST_TITLE = 40
"""A longer title shifts the columns after it."""

_STAMP = re.compile(r" \d{8}-\d{6}(-[0-9a-f]{4})?$")
"""The time at the end of a run's name, which has a column of its own."""


def runs_text(runs: Sequence[Run]) -> Iterator[RenderableType]:
    """Format runs, one per line."""
    lines = table("run", "state", "took>", "started, UTC", "recipe, data")
    for column in lines.columns[:-1]:  # on a narrow terminal the last column is folded, never the time
        column.no_wrap = True
    for run in runs:
        lines.add_row(
            run.run_id[:8],
            Text(run.state, style=STYLES.get(run.state, "")),
            _duration(run.seconds),
            f"{run.created.astimezone(UTC):%Y-%m-%d %H:%M:%S}",
            Text(_STAMP.sub("", run.name)),
        )
    yield lines


def status_text(status: RunStatus) -> Iterator[RenderableType]:
    """Format a run as a tree of tasks, with the states of all levels in one column."""
    run = status.run
    head = Text("  ").join(
        (
            Text(run.state, style=STYLES.get(run.state, "")),
            Text(run.run_id[:8]),
            Text(run.name),
            Text(_duration(run.seconds), style="dim"),
        )
    )
    tree = Tree(head, guide_style="dim")
    _grow(tree, status.tasks, min(max(_widths(status.tasks), default=0), WIDEST_TITLE))
    yield tree
    for note in status.notes:
        yield Text(f"note: {note}", style="dim")


def _widths(tasks: Iterable[TaskStatus], indent: int = 0) -> Iterator[int]:
    for task in tasks:
        yield indent + len(_title(task))
        yield from _widths(task.inside, indent + GUIDE)


def _grow(tree: Tree, tasks: Iterable[TaskStatus], width: int) -> None:
    for task in tasks:
        branch = tree.add(Group(_line(task, width), *_below(task)))
        _grow(branch, task.inside, width - GUIDE)


def _title(task: TaskStatus) -> str:
    """The display name, without the hint to open the group, because the tree shows its members."""
    return task.title.removeprefix(OPEN_ME)


def _line(task: TaskStatus, width: int) -> Text:
    style = STYLES.get(task.state, "")
    sign = SIGNS.get(task.state, " ")
    line = Text.assemble((f"{sign} ", style), (f"{_title(task):<{max(width, 0)}}  ", "bold" if task.inside else ""))
    line.append(f"{task.state:<12}", style)
    line.append(f"{_took(task):>12}")
    rest = [task.host] if task.host else []
    rest += [f"{task.retries} retr{'y' if task.retries == 1 else 'ies'}"] if task.retries else []
    line.append("  " + "  ".join(rest), "dim")
    line.rstrip()
    return line


def _below(task: TaskStatus) -> Iterator[RenderableType]:
    if task.metrics:
        pairs = "  ".join(f"{name} {value}" for name, value in task.metrics.items())
        yield Padding(Text(pairs, style="dim"), (0, 0, 0, 2), expand=False)
    if task.reason:
        style = STYLES.get(task.state, "")
        yield Padding(Text(task.reason, style=style), (0, 0, 0, 2), expand=False)
    if task.log:
        lines = Table.grid(padding=(0, 1, 0, 0))
        lines.add_column(no_wrap=True)
        lines.add_column(overflow="fold")
        for line in task.log:
            lines.add_row("|", Text(line), style="dim")
        yield Padding(lines, (0, 0, 0, 2), expand=False)


def _took(task: TaskStatus) -> str:
    if task.started is None or task.state in {"cached", "skipped", "not yet", "not reached"}:
        return ""
    end = task.finished or (datetime.now(UTC) if task.state in {"running", "waiting", "preparing"} else task.started)
    return _duration((end - task.started).total_seconds())


def _duration(seconds: float) -> str:
    """The duration in whole seconds, the resolution of Kubeflow."""
    return f"{seconds:.0f} s" if seconds < 60 else duration_text(seconds)


def schedules_text(schedules: Sequence[Schedule]) -> Iterator[RenderableType]:
    """Format schedules, one per line."""
    lines: Table = table("schedule", "state", "when, UTC", "version", "recipe", "data", "name")
    for one in schedules:
        lines.add_row(
            one.schedule_id[:8],
            Text("on" if one.on else "paused", style="green" if one.on else "yellow"),
            one.when,
            one.version_id[:8] if one.version_id else "newest",
            Text(str(one.parameters.get("recipe") or NOTHING)),
            Text(str(one.parameters.get("dataset_tag") or NOTHING)),
            Text(one.name),
        )
    yield lines
