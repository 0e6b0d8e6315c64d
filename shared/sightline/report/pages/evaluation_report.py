"""The page of an evaluation: every model on the val split, and the selected ones."""

from __future__ import annotations

from pathlib import Path

from sightline.report.page import write_page
from sightline.report.pages.key_numbers import choices
from sightline.report.pages.model_view import cards, model_views
from sightline.report.pages.summary import read_summary


def write_evaluation_report(path: Path, folder: Path) -> None:
    """Write the evaluation as one HTML file that opens offline.

    Args:
        path: The HTML file; replaced as a whole.
        folder: Holds evaluate's ``summary.json`` and the drawn images that it names.

    Raises:
        DataError: ``summary.json`` is missing or invalid, or a drawn image cannot be read.
    """
    summary = read_summary(folder)
    write_page(
        path,
        "evaluation_report.html",
        summary=summary,
        cards=cards(summary),
        models=model_views(summary, "evaluate"),
        choices=choices(summary.selections, summary),
    )
