"""Lineage on a terminal, from annotations at the top to champions at the bottom.

Output fits the width of the terminal; piped output is as wide as needed, so that no line is wrapped or cut for the
next program.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from sightline.data.suggestions.kept import ReviewSummary
from sightline.database import KIND_TITLES, Lineage, ModelLineage, PromotionLineage, RunRow, Scores, VersionLineage
from sightline.report.lineage.document import run_seconds
from sightline.report.lineage.wording import (
    images_text,
    metric_order,
    promoter_text,
    roles_text,
    short,
    shown_metrics,
    shown_scores,
    standing_text,
    time_text,
)
from sightline.report.terminal import STATE_STYLES, facts, heading, table
from sightline.report.wording import NOTHING, duration_text, metric_text

_WIDE = 100
_UNLIMITED = 10_000
_BLOCKS = 3
"""Up to this many runs or models are shown in full; larger numbers are shown as a table."""


def lineage_text(
    lineage: Lineage, width: int, reviews: Mapping[str, ReviewSummary] | None = None
) -> Iterator[RenderableType]:
    """Yield the parts to print.

    Args:
        lineage: The lineage to show.
        width: Width of the terminal in columns.
        reviews: Annotation tag -> what people made of the suggestions that led to it.
    """
    yield Text(f"{KIND_TITLES[lineage.asked.kind]} {lineage.asked.name}", style="bold")
    yield from _data(lineage, reviews or {})
    yield from _runs(lineage, width)
    yield from models_text(lineage, width)
    if lineage.promotions:
        yield heading("Champions")
        yield promotions_table(lineage.promotions, width)


def _data(lineage: Lineage, reviews: Mapping[str, ReviewSummary]) -> Iterator[RenderableType]:
    yield heading("Data")
    for version in (*lineage.annotations, *lineage.training_sets):
        yield _version(version, reviews.get(version.row.record.tag))
    known = {version.row.record.tag for version in (*lineage.annotations, *lineage.training_sets)}
    if lineage.asked.kind == "model":
        expected = {model.record.training_tag for model in lineage.models}
    elif lineage.asked.kind == "run":
        expected = {run.record.dataset_tag for run in lineage.runs}
    else:
        expected = {lineage.asked.name}
    for tag in sorted(expected - known - {""}):
        yield facts([(tag, "not registered in this database")])


def _version(version: VersionLineage, review: ReviewSummary | None) -> RenderableType:
    record = version.row.record
    reviewed = f"suggestions of model {short(review.model)} for {review.base}: {review.text}" if review else ""
    origin = f"made from {record.parent_tag}: " if record.parent_tag else ""
    return facts(
        [
            (record.tag, f"{origin}{images_text(version)}"),
            ("", f"commit {short(record.commit)}, digest {short(record.digest)}"),
            ("", f"registered {time_text(version.row.created_at)} UTC"),
            *([("", reviewed)] if reviewed else []),
        ]
    )


def _runs(lineage: Lineage, width: int) -> Iterator[RenderableType]:
    yield heading("Run" if len(lineage.runs) == 1 else "Runs")
    if len(lineage.runs) <= _BLOCKS:
        for run in lineage.runs:
            yield run_facts(run, lineage.models)
    else:
        yield runs_table(lineage.runs, lineage.models, width)
    absent = _absent_runs(lineage)
    if absent:
        yield facts([(run_id, "not in this database") for run_id in absent])
    if lineage.hidden_runs:
        yield Text(f"and {lineage.hidden_runs} older runs", style="dim")
    if not lineage.runs and not absent:
        yield Text("none in this database", style="dim")


def _absent_runs(lineage: Lineage) -> list[str]:
    """Runs that are requested, or that made a requested model, but are not in this database."""
    known = {run.record.run_id for run in lineage.runs}
    if lineage.asked.kind == "model":
        return sorted({model.record.run_id or "" for model in lineage.models} - known - {""})
    return [lineage.asked.name] if lineage.asked.kind == "run" and not known else []


def run_facts(run: RunRow, models: Sequence[ModelLineage], changes: Sequence[str] = ()) -> RenderableType:
    """A run in full, with its relation to each of ``models`` and its differences from the recipe (``changes``)."""
    record = run.record
    state = Text.assemble(
        (run.state, STATE_STYLES[run.state]),
        f", started {time_text(run.started_at)} UTC, took {duration_text(run_seconds(run))}",
    )
    rows: list[tuple[str, str | Text]] = [(record.run_id, state)]
    if run.message:
        rows.append(("", Text(run.message, style="red" if run.state == "failed" else "")))
    rows.append(("", f"recipe {record.recipe} for {record.dataset_tag or NOTHING}, code {short(record.code_rev)}"))
    rows.append(("", f"configuration {short(record.configuration_digest)}"))
    rows += [("", f"  {change}") for change in changes]
    for model in models:
        part = _part(run.record.run_id, model)
        if part:
            rows.append(("", f"model {short(model.record.sha256)}: {part}"))
    return facts(rows)


def _part(run_id: str, model: ModelLineage) -> str:
    """The relation of a run to a model: whether it made or reused it, and the model's roles in the run."""
    roles = roles_text(one.use for one in model.uses if one.run_id == run_id)
    made = model.record.run_id == run_id
    own = {"best", "last", "candidate"} & {one.use.role for one in model.uses if one.run_id == run_id}
    how = "made" if made else "found finished" if own and model.record.run_id else ""
    return ", ".join(part for part in (how, roles) if part)


def runs_table(runs: Sequence[RunRow], models: Sequence[ModelLineage], width: int) -> RenderableType:
    """One line per run, with its code revision if the terminal is wide enough."""
    made = {run.record.run_id: 0 for run in runs}
    for model in models:
        if model.record.run_id in made:
            made[model.record.run_id] += 1
    lines = _run_lines(runs, made, with_code=True)
    fits = Console(width=_UNLIMITED).measure(lines).maximum <= width
    return lines if fits else _run_lines(runs, made, with_code=False)


def _run_lines(runs: Sequence[RunRow], made: Mapping[str, int], *, with_code: bool) -> Table:
    lines = table("run", "state", "started, UTC", "took>", "models made>", *["code"][:with_code])
    lines.columns[0].no_wrap = True
    for run in runs:
        lines.add_row(
            Text(run.record.run_id),
            Text(run.state, style=STATE_STYLES[run.state]),
            time_text(run.started_at),
            duration_text(run_seconds(run)),
            str(made[run.record.run_id]),
            *[Text(short(run.record.code_rev))][:with_code],
        )
    return lines


def models_text(lineage: Lineage, width: int) -> Iterator[RenderableType]:
    """The models: a single one in full, several as a table."""
    yield heading("Model" if len(lineage.models) == 1 else "Models")
    if len(lineage.models) == 1:
        (model,) = lineage.models
        yield _model_facts(model, lineage.promotions)
        yield from _scores(model.scores, width)
    elif lineage.models:
        yield models_table(lineage, width)
    else:
        yield Text("none yet", style="dim")
    if lineage.hidden_models:
        yield Text(f"and {lineage.hidden_models} older models", style="dim")


def _model_facts(model: ModelLineage, promotions: Sequence[PromotionLineage]) -> RenderableType:
    record = model.record
    trained = f"trained on {record.training_tag or 'data that this database does not know'}"
    rows: list[tuple[str, str | Text]] = [
        (short(record.sha256), f"{record.task}, {trained}"),
        ("", f"made by {f'run {record.run_id}' if record.run_id else 'a run that this database does not know'}"),
    ]
    if record.code_rev:
        rows.append(("", f"code {short(record.code_rev)}"))
    rows += [("", record.sha256), ("", record.uri)]
    place = standing_text(record.sha256, promotions)
    if place:
        rows.append(("", Text(place, style="green")))
    return facts(rows)


def _scores(scores: Sequence[Scores], width: int) -> Iterator[RenderableType]:
    """One line per metric and one column per tag and split, as many side by side as fit the terminal."""
    room = max(1, (width - 16) // max(12, *(len(one.dataset_tag) + 2 for one in scores))) if scores else 1
    for start in range(0, len(scores), room):
        shown = scores[start : start + room]
        lines = table("metric", *(f"{one.dataset_tag}\n{one.split}>" for one in shown))
        for name in sorted({name for one in shown for name in one.values}, key=metric_order):
            lines.add_row(Text(name), *(metric_text(one.values.get(name), 4) for one in shown))
        yield Padding(lines, (1, 0, 0, 0))


def models_table(lineage: Lineage, width: int) -> RenderableType:
    """One line per model and split."""
    wide = width >= _WIDE
    metrics = shown_metrics(lineage.models, 4 if wide else 3)
    tags = [version.row.record.tag for version in lineage.training_sets]
    lines = table("model", *(["made by"] if wide else []), "measured on", *(f"{name}>" for name in metrics), "standing")
    for column in lines.columns[: 1 + wide]:
        column.no_wrap = True
    for model in lineage.models:
        record = model.record
        first = [short(record.sha256), *([record.run_id or NOTHING] if wide else [])]
        place = standing_text(record.sha256, lineage.promotions)
        for scores in shown_scores(model, tags) or [Scores("not measured", "", {})]:
            values = (metric_text(scores.values.get(name)) for name in metrics)
            where = Text(f"{scores.dataset_tag} {scores.split}")
            lines.add_row(*(Text(part) for part in first), where, *values, Text(place, style="green"))
            first, place = [""] * len(first), ""
    return lines


def promotions_table(promotions: Sequence[PromotionLineage], width: int) -> RenderableType:
    """One line per change of champion, the newest first; a narrow terminal has no room for the next champion."""
    wide = width >= _WIDE
    several = len({one.dataset for one in promotions}) > 1
    lines = table("by", "champion", "value>", "since, UTC", "promoted", "instead of", "until, UTC")
    for column in (lines.columns[1], lines.columns[5]):
        column.no_wrap = True
    for one in promotions:
        value = f" ({metric_text(one.previous_value)})" if wide else ""
        before = f"{short(one.previous_sha256)}{value}" if one.previous_sha256 else NOTHING
        heir = f" ({short(one.replaced_by)})" if wide else ""
        until = f"{time_text(one.replaced_at)}{heir}" if one.replaced_by else "now"
        lines.add_row(
            Text(f"{one.dataset} {one.metric}" if several else one.metric),
            Text(short(one.model_sha256)),
            metric_text(one.value),
            time_text(one.promoted_at),
            Text(promoter_text(one.action, one.actor)),
            Text(before),
            Text(until, style="" if one.replaced_by else "green"),
        )
    return lines
