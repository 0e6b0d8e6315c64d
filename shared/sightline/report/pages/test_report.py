"""The page of a test: the tested models on images that no decision was based on."""

from __future__ import annotations

from pathlib import Path

from sightline.report.page import write_page
from sightline.report.pages.model_view import cards, model_views
from sightline.report.pages.summary import read_summary


def write_test_report(path: Path, folder: Path) -> None:
    """Write the test as one HTML file that opens offline.

    Args:
        path: The HTML file; replaced as a whole.
        folder: Holds test's ``summary.json`` and the drawn images that it names.

    Raises:
        DataError: ``summary.json`` is missing or invalid, or a drawn image cannot be read.
    """
    summary = read_summary(folder)
    write_page(path, "test_report.html", summary=summary, cards=cards(summary), models=model_views(summary, "test"))
