"""Lineage as a graph of annotations, training sets, runs, models and champions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sightline.database import Lineage, ModelLineage, RunRow
from sightline.report.lineage.wording import images_text, short, shown_metrics, shown_scores, standing
from sightline.report.page import slug
from sightline.report.pages.run_graph import GraphBox, GraphLayout
from sightline.report.wording import metric_text

MOST_BOXES = 6
"""Maximum number of boxes per layer; one more box counts the rest."""

_STACK_WIDTH = 300
_STACK_HEIGHT = 66
_STACK_GAP = 24
_LANE = 11
_MARGIN = 4


@dataclass(frozen=True, slots=True)
class Node:
    """A box of the graph.

    Attributes:
        key: Unique in the graph.
        kind: Kind of object, as text.
        name: Its name, shortened.
        note: A remark below the name.
        tone: CSS class of its color.
        link: Id of the element on the page with details; empty if there is none.
        asked: Whether it is the requested object.
    """

    key: str
    kind: str
    name: str
    note: str
    tone: str
    link: str
    asked: bool = False


@dataclass(frozen=True, slots=True)
class LineageGraph:
    """Boxes, layer by layer, and edges as (before, after) pairs of their keys."""

    nodes: list[Node]
    edges: list[tuple[str, str]]


def lineage_graph(lineage: Lineage) -> LineageGraph:
    """The graph of a lineage, limited to the most relevant runs and models."""
    models, more_models = _most_relevant_models(lineage)
    runs, more_runs = _most_relevant_runs(lineage, models)
    data, data_edges = _data(lineage, models)
    run_nodes, run_edges = _runs(lineage, runs, models)
    model_nodes, model_edges = _models(lineage, models)
    hidden = [
        Node(key, kind, f"and {number} more", "in the list below", "skipped", link)
        for key, kind, number, link in (
            ("more runs", "runs", more_runs, "runs"),
            ("more models", "models", more_models, "models"),
        )
        if number
    ]
    nodes = [*data, *run_nodes, *(node for node in hidden if node.kind == "runs"), *model_nodes]
    nodes += [node for node in hidden if node.kind == "models"]
    edges = [*data_edges, *run_edges, *model_edges]
    if lineage.training_sets:
        edges += [(lineage.training_sets[-1].row.record.tag, node.key) for node in hidden if node.kind == "runs"]
    if more_runs:
        edges += [("more runs", node.key) for node in hidden if node.kind == "models"]
    champions, champion_edges = _champions(lineage, models)
    return LineageGraph([*nodes, *champions], [*edges, *champion_edges])


def _most_relevant_models(lineage: Lineage) -> tuple[list[ModelLineage], int]:
    """The requested model, champions, selected models, then the newest; and the number left out."""
    tags = {version.row.record.tag for version in lineage.training_sets}
    own = [
        model for model in lineage.models if lineage.asked.kind in {"run", "model"} or model.record.training_tag in tags
    ]

    def rank(model: ModelLineage) -> tuple[bool, bool, bool]:
        now, before = standing(model.record.sha256, lineage.promotions)
        chosen = any(one.use.role == "selected" for one in model.uses)
        return (not now, not before, not chosen)

    kept = sorted(own, key=rank)[:MOST_BOXES]
    return [model for model in own if model in kept], len(own) - len(kept) + lineage.hidden_models


def _most_relevant_runs(lineage: Lineage, models: Sequence[ModelLineage]) -> tuple[list[RunRow], int]:
    """Runs that made the drawn models, then the newest; and the number left out."""
    makers = {model.record.run_id for model in models}
    tags = {version.row.record.tag for version in (*lineage.annotations, *lineage.training_sets)} | {lineage.asked.name}
    on_the_way = [run for run in lineage.runs if {run.record.run_id, run.record.dataset_tag} & (makers | tags)]
    kept = sorted(on_the_way, key=lambda run: run.record.run_id not in makers)[:MOST_BOXES]
    return [run for run in on_the_way if run in kept], len(on_the_way) - len(kept) + lineage.hidden_runs


def _data(lineage: Lineage, models: Iterable[ModelLineage]) -> tuple[list[Node], list[tuple[str, str]]]:
    asked = lineage.asked.name
    nodes = [
        Node(tag, "annotation tag", tag, images_text(version), "running", f"data-{slug(tag)}", asked=tag == asked)
        for version in lineage.annotations
        for tag in [version.row.record.tag]
    ]
    nodes += [
        Node(
            tag,
            "training tag",
            tag,
            _split_note(version.images_per_split),
            "running",
            f"data-{slug(tag)}",
            asked=tag == asked,
        )
        for version in lineage.training_sets
        for tag in [version.row.record.tag]
    ]
    known = {node.key for node in nodes}
    unknown = sorted({model.record.training_tag for model in models} - known - {""})
    nodes += [Node(tag, "training tag", tag, _elsewhere(lineage), "skipped", "", asked=tag == asked) for tag in unknown]
    edges = [(version.row.record.parent_tag, version.row.record.tag) for version in lineage.training_sets]
    return nodes, edges


def _elsewhere(lineage: Lineage) -> str:
    """The note of a box that is not in the lineage, such as the run of an earlier champion."""
    return "before this run" if lineage.asked.kind == "run" else "not in this database"


def _split_note(images_per_split: dict[str, int]) -> str:
    return " · ".join(f"{number} {split}" for split, number in images_per_split.items()) or "images not counted"


def _runs(
    lineage: Lineage, runs: Sequence[RunRow], models: Sequence[ModelLineage]
) -> tuple[list[Node], list[tuple[str, str]]]:
    asked = lineage.asked.name
    nodes, edges = [], []
    for run in runs:
        run_id = run.record.run_id
        note = f"{run.state} · {short(run.record.code_rev.rpartition('+')[2])}"
        nodes.append(Node(run_id, "run", run_id, note, run.state, f"run-{slug(run_id)}", asked=run_id == asked))
        edges += [(tag, run_id) for tag in lineage.used.get(run_id) or [run.record.dataset_tag]]
    drawn = {node.key for node in nodes}
    for model in models:
        maker = model.record.run_id or f"maker of {model.record.sha256}"
        if maker not in drawn and maker not in {run.record.run_id for run in lineage.runs}:
            drawn.add(maker)
            nodes.append(Node(maker, "run", model.record.run_id or "unknown run", _elsewhere(lineage), "skipped", ""))
        edges.append((model.record.training_tag, maker))
    return nodes, edges


def _models(lineage: Lineage, models: Sequence[ModelLineage]) -> tuple[list[Node], list[tuple[str, str]]]:
    metric = next(iter(shown_metrics(models, 1)), "")
    tags = [version.row.record.tag for version in lineage.training_sets]
    nodes, edges = [], []
    for model in models:
        sha256 = model.record.sha256
        score = next((one for one in shown_scores(model, tags) if metric in one.values), None)
        note = "not measured" if score is None else f"{metric} {metric_text(score.values[metric])} on {score.split}"
        asked = sha256 == lineage.asked.name
        nodes.append(Node(sha256, "model", short(sha256), note, "good", f"model-{sha256[:16]}", asked=asked))
        edges.append((model.record.run_id or f"maker of {sha256}", sha256))
        edges += [
            (one.run_id, sha256) for one in model.uses if one.use.role in {"best", "last", "candidate", "selected"}
        ]
    return nodes, list(dict.fromkeys(edges))


def _champions(lineage: Lineage, models: Iterable[ModelLineage]) -> tuple[list[Node], list[tuple[str, str]]]:
    nodes, edges = [], []
    for model in models:
        sha256 = model.record.sha256
        for metrics, note, tone in zip(
            standing(sha256, lineage.promotions), ("now", "until replaced"), ("warn", "skipped"), strict=True
        ):
            if metrics:
                key = f"champion {note} {sha256}"
                nodes.append(
                    Node(
                        key,
                        "champion" if note == "now" else "former champion",
                        f"by {', '.join(metrics)}",
                        note,
                        tone,
                        "champions",
                    )
                )
                edges.append((sha256, key))
    return nodes, edges


def stack(names: Sequence[str], edges: Iterable[tuple[str, str]]) -> GraphLayout:
    """Lay out all boxes in one column for a phone: direct neighbors are joined straight, others by lanes on the left.

    Args:
        names: The boxes, from top to bottom.
        edges: (before, after); edges with unknown names are left out.
    """
    place = {name: index for index, name in enumerate(names)}
    known = [(place[source], place[target]) for source, target in edges if source in place and target in place]
    spans: dict[int, int] = {}
    for source, target in known:
        if target > source + 1:
            spans[source] = max(target, spans.get(source, 0))
    lanes: dict[int, int] = {}
    for source, end in sorted(spans.items()):
        taken = {lanes[other] for other in lanes if spans[other] > source}
        lanes[source] = next(lane for lane in range(len(spans)) if lane not in taken)
        spans[source] = end
    left = _MARGIN + (max(lanes.values(), default=-1) + 1) * _LANE + (8 if lanes else 0)
    step = _STACK_HEIGHT + _STACK_GAP
    boxes = [
        GraphBox(name, left, _MARGIN + index * step, _STACK_WIDTH, _STACK_HEIGHT) for index, name in enumerate(names)
    ]
    arrows = []
    for source, target in sorted(set(known)):
        top, bottom = boxes[source], boxes[target]
        if target == source + 1:
            x = left + _STACK_WIDTH // 2
            arrows.append(f"M{x},{top.y + top.height}L{x},{bottom.y - 5}")
        elif target > source:
            x = left - 8 - (lanes[source] + 1) * _LANE + _LANE // 2
            start, end = top.y + top.height // 2 + 8, bottom.y + bottom.height // 2
            arrows.append(
                f"M{left},{start}H{x + 5}Q{x},{start} {x},{start + 5}V{end - 5}Q{x},{end} {x + 5},{end}H{left - 5}"
            )
    height = boxes[-1].y + _STACK_HEIGHT + _MARGIN if boxes else _MARGIN
    return GraphLayout(left + _STACK_WIDTH + _MARGIN, height, boxes, arrows)
