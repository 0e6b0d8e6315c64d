"""The index of all runs, newest first; a script on the page filters and sorts it."""

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
        started: Start time, with time zone.
        dataset_tag: The requested tag.
        recipe: Name of the recipe.
        state: State of the whole run.
        seconds: Duration; None while it is running.
        link: POSIX path of the run page relative to the index; empty if there is none.
        message: Reason why it failed or was stopped; may be empty.
        numbers: Headline metrics of the run's own candidates, with those of the champions that were kept.
        decisions: The decision by each metric that selects models, such as ``{"mask_AP": "best, new champion"}``.
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
    """Write the index as one HTML file that opens offline; ``runs`` in any order, parent folders are created."""
    newest_first = sorted(runs, key=lambda run: (run.started, run.run_id), reverse=True)
    known = {run.run_id: {number.metric: number for number in run.numbers} for run in runs}
    metrics = list(dict.fromkeys(number.metric for run in newest_first for number in run.numbers))
    # Quoting removes URL schemes from links: a folder called "javascript:..." is still treated as a folder.
    links = {run.run_id: quote(run.link) for run in runs}
    write_page(path, "run_index.html", runs=newest_first, metrics=metrics, numbers=known, links=links)
