"""The page of a lineage: the graph, followed by details of every box."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from sightline.database import KIND_TITLES, Lineage, ModelLineage
from sightline.report.lineage.document import run_configuration, run_seconds
from sightline.report.lineage.graph import lineage_graph, stack
from sightline.report.lineage.wording import (
    changes_text,
    metric_order,
    promoter_text,
    roles_text,
    short,
    shown_metrics,
    shown_scores,
    standing,
    time_text,
)
from sightline.report.page import write_page
from sightline.report.pages.run_graph import lay_out


def write_lineage_page(path: Path, lineage: Lineage) -> None:
    """Write the page as one HTML file that opens offline; parent folders are created.

    Args:
        path: The HTML file; replaced as a whole.
        lineage: The lineage to show.
    """
    graph = lineage_graph(lineage)
    keys = [node.key for node in graph.nodes]
    write_page(
        path,
        "lineage.html",
        lineage=lineage,
        title=KIND_TITLES[lineage.asked.kind],
        nodes=graph.nodes,
        across=lay_out(keys, graph.edges, down=False),
        down=stack(keys, graph.edges),
        versions=[*lineage.annotations, *lineage.training_sets],
        runs=[_run_values(lineage, index) for index in range(len(lineage.runs))],
        models=[_model_values(lineage, model) for model in lineage.models],
        metrics=shown_metrics(lineage.models, 4),
        short=short,
        time=time_text,
        promoter=promoter_text,
    )


def _run_values(lineage: Lineage, index: int) -> dict[str, Any]:
    run = lineage.runs[index]
    run_id = run.record.run_id
    parts = {
        model.record.sha256: roles_text(one.use for one in model.uses if one.run_id == run_id) or "made"
        for model in lineage.models
        if model.record.run_id == run_id or any(one.run_id == run_id for one in model.uses)
    }
    return {
        "row": run,
        "seconds": run_seconds(run),
        "changes": changes_text(run),
        "configuration": yaml.safe_dump(run_configuration(run), sort_keys=False, allow_unicode=True),
        "models": parts,
    }


def _model_values(lineage: Lineage, model: ModelLineage) -> dict[str, Any]:
    now, before = standing(model.record.sha256, lineage.promotions)
    names = sorted({name for scores in model.scores for name in scores.values}, key=metric_order)
    shown = shown_scores(model, [version.row.record.tag for version in lineage.training_sets])
    return {"row": model, "now": now, "before": before, "names": names, "shown": shown[0].values if shown else {}}
