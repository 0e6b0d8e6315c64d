"""Runs on a terminal: a list, one run in full, or two runs side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.console import RenderableType
from rich.text import Text

from sightline.database import DecisionRecord, Lineage, RunChoice, RunRow
from sightline.report.lineage.document import run_seconds
from sightline.report.lineage.runs_comparison import Comparison, RunSide
from sightline.report.lineage.runs_spread import Spread
from sightline.report.lineage.text import models_text, promotions_table, run_facts
from sightline.report.lineage.wording import changes_text, difference_rows, short, time_text
from sightline.report.terminal import STATE_STYLES, facts, heading, table
from sightline.report.wording import NOTHING, duration_text, metric_text

_WIDE = 100


def runs_text(
    runs: Sequence[RunRow], selections: Mapping[str, Mapping[str, RunChoice]], width: int
) -> Iterator[RenderableType]:
    """The runs with their best candidates by each metric; one line per run if the terminal is wide enough."""
    wide = width >= _WIDE
    join = ", " if wide else "\n"
    lines = table("run", *(["state", "took>"] if wide else ["state, took"]), "started, UTC", "data", "best, on val")
    lines.columns[0].no_wrap = True
    for run in runs:
        chosen = selections[run.record.run_id]
        state = Text(run.state, style=STATE_STYLES[run.state])
        took = duration_text(run_seconds(run))
        selected = join.join(_choice_text(metric, chosen[metric]) for metric in sorted(chosen))
        lines.add_row(
            Text(run.record.run_id),
            *([state, took] if wide else [Text.assemble(state, "\n", took)]),
            time_text(run.started_at) if wide else time_text(run.started_at).replace(" ", "\n"),
            Text(run.record.dataset_tag or NOTHING),
            Text(selected or NOTHING),
        )
    yield lines


def _choice_text(metric: str, choice: RunChoice) -> str:
    """Such as ``mask_AP 0.410 (champion 0.520)``: the run's best candidate, and the champion if it was kept."""
    champion = f" (champion {metric_text(choice.champion_value)})" if choice.champion else ""
    return f"{metric} {metric_text(choice.value)}{champion}"


def run_text(
    lineage: Lineage, width: int, tensorboard: str, decisions: Sequence[DecisionRecord]
) -> Iterator[RenderableType]:
    """One run in full, with the command that shows its training curves if it has any, and what it decided."""
    (run,) = lineage.runs
    yield run_facts(run, lineage.models, changes_text(run))
    if tensorboard:
        yield facts([("training curves", tensorboard)])
    yield from models_text(lineage, width)
    if decisions:
        yield heading("Decisions")
        yield facts([(one.metric, f"{one.outcome}: {one.reason}") for one in decisions])
    if lineage.promotions:
        yield heading("Champions")
        yield promotions_table(lineage.promotions, width)


def comparison_text(comparison: Comparison) -> Iterator[RenderableType]:
    """Two runs side by side; equal values are dimmed."""
    a, b = comparison.a, comparison.b
    lines = table("", a.run.record.run_id, b.run.record.run_id)
    for (name, one), (_, other) in zip(_facts(a), _facts(b), strict=True):
        style = "dim" if one == other else ""
        lines.add_row(Text(name), Text(one, style=style), Text(other, style=style))
    yield lines
    yield heading("Configuration")
    rows = difference_rows(comparison.configuration)
    if rows:
        changed = table("", "A", "B")
        for path, before, now in rows:
            changed.add_row(Text(path), Text(before), Text(now))
        yield changed
    else:
        yield Text("the same", style="dim")
    yield heading("Metrics")
    yield from _metrics(comparison)


def spread_text(spread: Spread) -> Iterator[RenderableType]:
    """Several runs: one line for each, then mean and spread of every metric."""
    lines = table("run", "fold", "state", "training set", "model")
    for run, fold in zip(spread.runs, spread.folds, strict=True):
        number = f"{fold} of {spread.number_of_folds}" if fold and spread.number_of_folds else str(fold or NOTHING)
        state = Text(run.run.state, style=STATE_STYLES[run.run.state])
        lines.add_row(
            Text(run.run.record.run_id), number, state, Text(run.training_tag or NOTHING), Text(short(run.model))
        )
    yield lines
    if spread.differing:
        yield Text(f"the runs also differ in {', '.join(spread.differing)}", style="yellow")
    if spread.missing_folds:
        yield Text(f"folds without a run: {', '.join(map(str, spread.missing_folds))}", style="yellow")
    yield heading("Metrics")
    if not spread.metrics:
        yield Text("none of the runs has a measured model", style="dim")
        return
    numbers = table("", "", "mean>", "± deviation>", "smallest>", "largest>", "runs>")
    before = ""
    for one in spread.metrics:
        split = one.split if one.split != before else ""
        before = one.split
        deviation = NOTHING if one.deviation is None else f"{one.deviation:.4f}"
        count = sum(value is not None for value in one.values)
        numbers.add_row(
            split, Text(one.name), metric_text(one.mean, 4), deviation, metric_text(one.smallest, 4),
            metric_text(one.largest, 4), str(count),
        )  # fmt: skip
    yield numbers


def _facts(side: RunSide) -> list[tuple[str, str]]:
    record = side.run.record
    return [
        ("state", side.run.state),
        ("started, UTC", time_text(side.run.started_at)),
        ("took", duration_text(run_seconds(side.run))),
        ("recipe", record.recipe),
        ("annotations", record.dataset_tag or NOTHING),
        ("training set", side.training_tag or NOTHING),
        ("digest", short(side.digest)),
        ("code", short(record.code_rev)),
        ("model", short(side.model)),
        ("", side.role or NOTHING),
        ("champion", f"{short(side.champion)} stays" if side.champion else side.became or NOTHING),
    ]


def _metrics(comparison: Comparison) -> Iterator[RenderableType]:
    a, b = comparison.a, comparison.b
    if not comparison.metrics:
        yield Text("neither run has a measured model", style="dim")
        return
    if (a.training_tag, a.digest) != (b.training_tag, b.digest):
        yield Text("measured on different images, so differences may come from the data", style="yellow")
    elif a.model == b.model:
        yield Text("both runs use the same model", style="dim")
    lines = table("", "", "A>", "B>", "B - A>")
    before = ""
    for one in comparison.metrics:
        style = "" if not one.difference else "green" if one.difference > 0 else "red"
        change = NOTHING if one.difference is None else f"{one.difference:+.4f}"
        split = one.split if one.split != before else ""
        before = one.split
        lines.add_row(split, Text(one.name), metric_text(one.a, 4), metric_text(one.b, 4), Text(change, style=style))
    yield lines
