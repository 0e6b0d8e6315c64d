"""The page of one run: what went in, what happened, what came out, and how to do it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from sightline.errors import DataError
from sightline.report.charts import Chart
from sightline.report.history_charts import history_charts, read_history
from sightline.report.model_view import model_views
from sightline.report.page import reason_of, write_page
from sightline.report.run_graph import lay_out
from sightline.report.summary import ModelSummary, SelectionSummary, Summary, read_summary

RunState = Literal["succeeded", "failed", "interrupted", "running"]
TaskState = Literal["succeeded", "failed", "reused", "skipped", "running", "interrupted"]
StepName = Literal["record", "train", "evaluate", "test"]

_KEY_METRICS = {
    "box_AP50": "boxes found, IoU ≥ 0.5",
    "mask_AP50": "outlines found, IoU ≥ 0.5",
    "dv_mAP": "outlines right in all six slices",
    "EIR": "plates read exactly",
}


@dataclass(frozen=True, slots=True)
class TaskView:
    """One task of the run graph.

    Attributes:
        name: Unique in the run; what ``RunPage.edges`` name.
        display_name: What the box shows.
        state: ``reused`` means that an earlier run's result was taken, ``skipped`` that the task was not asked for.
        seconds: How long it took; None when it did not run to its end.
        inputs: Parameter or artifact name to value or URI.
        outputs: The same for what it gave.
        message: Why it failed, was reused or was skipped; may be empty.
    """

    name: str
    display_name: str
    state: TaskState
    seconds: float | None = None
    inputs: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    message: str = ""


@dataclass(frozen=True, slots=True)
class RunPage:
    """Everything the run page shows.  Any part of the results may be missing: the page says so.

    Attributes:
        run_id: Unique name of the run.
        recipe: Name of the recipe.
        overrides: ``a.b=c`` as given.
        dataset_tag: The annotation or training tag that was asked for.
        code_rev: Revision of the code that ran.
        configuration: The full configuration as YAML or JSON text.
        state: Of the whole run.
        started: When it began, with its time zone.
        seconds: How long it took; None while it runs.
        command: The exact command that does the run again.
        tasks: In the order in which they run.
        edges: (before, after), by task name.
        message: Why the run failed, where no task says so.
        index_link: Path of the index of all runs relative to this page, POSIX; empty where there is none.
        links: Title -> address of a page elsewhere that shows this run.
        results: The steps' ``result.json``, decoded (``dataclasses.asdict`` of a step's result), by ``record``,
            ``train``, ``evaluate`` and ``test``; steps without a result are absent.
        files: The local folder of each step's files, by the same names: record's ``report.html``, train's
            ``history.json``, evaluate's and test's ``summary.json`` with the drawn images that it names.
    """

    run_id: str
    recipe: str
    overrides: list[str]
    dataset_tag: str
    code_rev: str
    configuration: str
    state: RunState
    started: datetime
    seconds: float | None
    command: str
    tasks: list[TaskView]
    edges: list[tuple[str, str]]
    message: str = ""
    index_link: str = ""
    links: Mapping[str, str] = field(default_factory=dict)
    results: Mapping[StepName, Mapping[str, Any]] = field(default_factory=dict)
    files: Mapping[StepName, Path] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class KeyNumber:
    """One big number: a metric of the test split (0 to 1) beside the same on val."""

    metric: str
    meaning: str
    test: float | None
    val: float | None


def write_run_page(path: Path, run: RunPage) -> None:
    """Write the run page as one HTML file that opens offline; parent folders are made.

    A step's file that is missing or damaged is named at the top of the page: the page of a broken run is the one that
    is needed most.

    Args:
        path: The HTML file; replaced as a whole.
        run: What to show.
    """
    faults: list[str] = []
    evaluate = _summary(run, "evaluate", faults)
    test = _summary(run, "test", faults)
    selections = _selections(run, evaluate)
    write_page(
        path,
        "run_page.html",
        run=run,
        across=lay_out([task.name for task in run.tasks], run.edges, down=False),
        down=lay_out([task.name for task in run.tasks], run.edges, down=True),
        selections=selections,
        key_numbers=_key_numbers(selections, evaluate, test),
        record=run.results.get("record"),
        classes=_classes(run, evaluate),
        train=run.results.get("train"),
        data_report=_data_report(run, faults),
        charts=_charts(run, faults),
        evaluate=evaluate,
        evaluate_models=model_views(evaluate, "evaluate") if evaluate else [],
        test=test,
        test_models=model_views(test, "test") if test else [],
        index_link=quote(run.index_link),
        speeds=_speeds(run),
        faults=faults,
    )


def _summary(run: RunPage, step: Literal["evaluate", "test"], faults: list[str]) -> Summary | None:
    if step not in run.files:
        return None
    try:
        return read_summary(run.files[step])
    except DataError as error:
        faults.append(str(error))
        return None


def _charts(run: RunPage, faults: list[str]) -> list[Chart]:
    if "train" not in run.files:
        return []
    try:
        return history_charts(read_history(run.files["train"]))
    except DataError as error:
        faults.append(str(error))
        return []


def _data_report(run: RunPage, faults: list[str]) -> str | None:
    if "record" not in run.files:
        return None
    path = run.files["record"] / "report.html"
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        faults.append(f"{path}: the data report cannot be shown: {reason_of(error)}; run record again")
        return None


def _selections(run: RunPage, evaluate: Summary | None) -> list[SelectionSummary]:
    """From evaluate's summary, or from its result when its files are not here."""
    if evaluate and evaluate.selections:
        return evaluate.selections
    return [SelectionSummary.model_validate(one) for one in run.results.get("evaluate", {}).get("selections", [])]


def _classes(run: RunPage, evaluate: Summary | None) -> list[str]:
    """In the configuration's order where evaluate wrote it down; classes without an instance are known only there."""
    instances = run.results.get("record", {}).get("instances", {})
    counted = [name for counts in instances.values() for name in counts]
    return list(dict.fromkeys([*(evaluate.classes if evaluate else []), *counted]))


def _speeds(run: RunPage) -> dict[str, float]:
    models = run.results.get("test", {}).get("models", [])
    return {f"selected by {one['metric']}": one["images_per_second"] for one in models if one["images_per_second"] > 0}


def _key_numbers(selections: list[SelectionSummary], evaluate: Summary | None, test: Summary | None) -> list[KeyNumber]:
    """The metrics of the model that the first selection chose; a metric that neither split has is left out."""
    tested = _chosen(selections, test).metrics
    validated = _chosen(selections, evaluate).metrics
    return [
        KeyNumber(metric, meaning, tested.get(metric), validated.get(metric))
        for metric, meaning in _KEY_METRICS.items()
        if metric in tested or metric in validated
    ]


def _chosen(selections: list[SelectionSummary], summary: Summary | None) -> ModelSummary:
    """The selected model in a summary, by its digest: test may name it otherwise."""
    models = list(summary.models.values()) if summary else []
    for model in models:
        if selections and model.sha256 == selections[0].sha256:
            return model
    return models[0] if models else ModelSummary()
