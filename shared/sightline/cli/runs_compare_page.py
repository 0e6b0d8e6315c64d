"""The page of ``sightline runs compare --html``: the models of two runs on the same images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sightline.errors import SightlineError

if TYPE_CHECKING:
    from sightline.report.lineage.runs_comparison import Comparison, RunSide
    from sightline.report.pages.comparison_page import ComparisonPage

_SCORE = 0.5


def write_page(path: Path, comparison: Comparison, models: Mapping[str, str], *, device: str = "auto") -> str:
    """Write the page; the models of the runs are run on the test split of the second run's training set.

    If that is not possible, the page has the metrics that the runs recorded.

    Args:
        path: The HTML file.
        comparison: The two runs.
        models: URI of each model by its SHA-256.
        device: ``auto``, ``cpu`` or ``cuda``.

    Returns:
        Why the models were not run, as one sentence; empty if they were.
    """
    from sightline.cli.model_compare import compared
    from sightline.evaluation.comparison_report import comparison_page
    from sightline.report.lineage.wording import difference_rows
    from sightline.report.pages.comparison_page import write_comparison_page

    a, b = comparison.a, comparison.b
    changes = difference_rows(comparison.configuration)
    title = f"{a.run.record.run_id} and {b.run.record.run_id}"
    if not (a.model and b.model and b.training_tag):
        reason = "one of the runs has no measured model"
    else:
        try:
            uris = models.get(a.model, a.model), models.get(b.model, b.model)
            names = f"{a.role} of {a.run.record.run_id}", f"{b.role} of {b.run.record.run_id}"
            with compared(uris, b.training_tag, "test", score=_SCORE, device=device, names=names) as found:
                page = comparison_page(found, title=title, facts=(_facts(a), _facts(b)), changes=changes)
                write_comparison_page(path, page)
        except SightlineError as error:
            reason = str(error)
        else:
            return ""
    write_comparison_page(path, _recorded(comparison, title, changes, reason))
    return reason


def _recorded(comparison: Comparison, title: str, changes: list[tuple[str, str, str]], reason: str) -> ComparisonPage:
    """The page with the recorded metrics only."""
    from sightline.report.pages.comparison_page import ComparisonPage, Side, ValueRow
    from sightline.report.wording import metric_text

    a, b = comparison.a, comparison.b
    notes = [f"The models could not be run on the same images: {reason}"]
    if (a.training_tag, a.digest) != (b.training_tag, b.digest):
        notes.append("The metrics were measured on different images, so differences may come from the data.")
    return ComparisonPage(
        title=title,
        facts={"training set": a.training_tag if a.training_tag == b.training_tag else "different"},
        verdict="Only the metrics that the runs recorded are known; they have no intervals.",
        sides=[Side("A", a.run.record.run_id, _facts(a)), Side("B", b.run.record.run_id, _facts(b))],
        notes=notes,
        values=[
            ValueRow(f"{one.name} ({one.split})", metric_text(one.a), metric_text(one.b)) for one in comparison.metrics
        ],
        changes=changes,
    )


def _facts(side: RunSide) -> dict[str, str]:
    record = side.run.record
    return {
        "run": record.run_id,
        "recipe": record.recipe,
        "model": side.role,
        "measured on": side.training_tag,
        "code": record.code_rev[:12],
    }
