"""The index of all runs, newest first; its script filters and sorts it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from sightline.report.page import write_page
from sightline.report.pages.key_numbers import KeyNumber
from sightline.report.pages.run_page import RunState


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One line of the index.

    Attributes:
        run_id: Unique name of the run.
        started: When it began, with its time zone.
        dataset_tag: The tag that was asked for.
        recipe: Name of the recipe.
        state: Of the whole run.
        seconds: How long it took; None while it runs.
        link: Path of the run's page relative to the index, POSIX; empty where there is none.
        message: Why it failed or was stopped; may be empty.
        numbers: Those that stand for it: of the run's own candidates, and of the champions that stayed.
        decisions: What was decided by each metric that selects, such as ``{"mask_AP": "best, new champion"}``.
    """

    run_id: str
    started: datetime
    dataset_tag: str
    recipe: str
    state: RunState
    seconds: float | None
    link: str
    message: str = ""
    numbers: Sequence[KeyNumber] = ()
    decisions: Mapping[str, str] = field(default_factory=dict)


def write_run_index(path: Path, runs: Sequence[RunSummary]) -> None:
    """Write the index as one HTML file that opens offline; ``runs`` in any order, parent folders are made."""
    newest_first = sorted(runs, key=lambda run: (run.started, run.run_id), reverse=True)
    known = {run.run_id: {number.metric: number for number in run.numbers} for run in runs}
    metrics = list(dict.fromkeys(number.metric for run in newest_first for number in run.numbers))
    # Quoting leaves no scheme in a link: a folder called "javascript:..." stays a folder.
    links = {run.run_id: quote(run.link) for run in runs}
    write_page(path, "run_index.html", runs=newest_first, metrics=metrics, numbers=known, links=links)
