"""The page of one run: what went in, what happened, what came out, and how to do it again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from sightline.config.digest import StepName
from sightline.config.task_declarations import headline_metrics, reading_metrics
from sightline.errors import DataError
from sightline.report.charts import Chart
from sightline.report.page import reason_of, write_page
from sightline.report.pages.history_charts import history_charts, read_history
from sightline.report.pages.key_numbers import choices, key_numbers, summary_of_result
from sightline.report.pages.model_view import cards, model_views
from sightline.report.pages.run_graph import SMALL, lay_out
from sightline.report.pages.summary import SelectionSummary, Summary, read_summary

RunState = Literal["succeeded", "failed", "interrupted", "stopped", "running"]
TaskState = Literal["succeeded", "failed", "reused", "skipped", "running", "interrupted", "stopped"]


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
        resume_command: What goes on with the run where it ended too early; empty where nothing does.
        needs_correction: Whether its configuration or data made it fail: the same command fails the same way.
        tensorboard_command: What shows its training curves in TensorBoard; empty where it left none for it.
        tensorboard_note: Why there is no such command; empty where the trackers left TensorBoard out.
        tasks: In the order in which they run.
        edges: (before, after), by task name.
        message: Why the run failed, where no task says so.
        index_link: Path of the index of all runs relative to this page, POSIX; empty where there is none.
        drawn_links: Paths of the folders of evaluate's and test's ``summary.json`` relative to this page, POSIX, where
            they lie on this machine for good: the page links to their drawn images.
        links: Title -> address of a page elsewhere that shows this run.
        results: The steps' ``result.json``, decoded (``dataclasses.asdict`` of a step's result), by ``record``,
            ``train``, ``evaluate`` and ``test``; steps without a result are absent.
        files: The local folder of each step's files, by the same names: record's ``report.html``, train's
            ``history.json``, evaluate's and test's ``summary.json`` with the drawn images that it names.
        name: The title of the page, where that is not ``run_id``: what Kubeflow calls the run.
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
    resume_command: str = ""
    needs_correction: bool = False
    tensorboard_command: str = ""
    tensorboard_note: str = ""
    drawn_links: Mapping[StepName, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    results: Mapping[StepName, Mapping[str, Any]] = field(default_factory=dict)
    files: Mapping[StepName, Path] = field(default_factory=dict)
    name: str = ""


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
    known_evaluate = evaluate or _summary_of_result(run, "evaluate", {})
    names = {model.sha256: name for name, model in (known_evaluate.models.items() if known_evaluate else ())}
    known_test = test or _summary_of_result(run, "test", names)
    headlines = headline_metrics()
    write_page(
        path,
        "run_page.html",
        run=run,
        run_message="" if any(task.message and task.message in run.message for task in run.tasks) else run.message,
        across=lay_out([task.name for task in run.tasks], run.edges, down=False, size=SMALL),
        down=lay_out([task.name for task in run.tasks], run.edges, down=True),
        choices=choices(selections, known_evaluate),
        key_numbers=key_numbers([metric.name for metric in headlines], selections, known_evaluate, known_test),
        meanings={metric.name: metric.title for metric in headlines},
        read_metrics=reading_metrics(),
        record=run.results.get("record"),
        classes=_classes(run, evaluate),
        train=run.results.get("train"),
        data_report=_data_report(run, faults),
        charts=_charts(run, faults),
        evaluate=evaluate,
        evaluate_models=model_views(evaluate, "evaluate") if evaluate else [],
        test=test,
        test_models=model_views(test, "test") if test else [],
        cards=cards(source) if (source := test or evaluate) else [],
        index_link=quote(run.index_link),
        drawn=_drawn_folders(run),
        speeds=_speeds(run, known_test),
        environments=_environments(run),
        predict_command=_predict_command(selections, known_evaluate, known_test),
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


def _summary_of_result(run: RunPage, step: Literal["evaluate", "test"], names: Mapping[str, str]) -> Summary | None:
    """What is known of a step whose files are not here."""
    result = run.results.get(step)
    return summary_of_result(result, "val" if step == "evaluate" else "test", names) if result else None


def _drawn_folders(run: RunPage) -> dict[str, tuple[str, str]]:
    """Of evaluate and test: where links to their drawn images lead, empty where nowhere, and the folder's URI."""
    return {
        step: (quote(run.drawn_links.get(step, "")), str(run.results.get(step, {}).get("files", "")))
        for step in ("evaluate", "test")
    }


def _speeds(run: RunPage, test: Summary | None) -> dict[str, float]:
    """Images a second by the model's name."""
    names = {model.sha256: name for name, model in (test.models.items() if test else ()) if model.sha256}
    return {
        names.get(one.get("sha256", ""), f"selected by {one['metric']}"): one["images_per_second"]
        for one in run.results.get("test", {}).get("models", [])
        if one.get("images_per_second", 0) > 0
    }


def _environments(run: RunPage) -> dict[str, Mapping[str, Any]]:
    """Where steps computed, by the step's title; results of earlier releases say nothing of it."""
    titles: dict[StepName, str] = {"train": "Training", "test": "Test"}
    found = {title: run.results.get(step, {}).get("environment") for step, title in titles.items()}
    return {title: values for title, values in found.items() if values}


def _predict_command(selections: Sequence[SelectionSummary], evaluate: Summary | None, test: Summary | None) -> str:
    """Use the run's own best model: from the bucket, with the score threshold that the test had."""
    if not selections:
        return ""
    chosen = choices(selections, evaluate)[0]
    if not chosen.uri:
        return ""
    threshold = test.score_threshold if test else None
    score = ["--score", f"{threshold:g}"] if threshold is not None else []
    return shlex.join(
        [
            "sightline",
            "model",
            "predict",
            chosen.uri.removeprefix("file://"),
            "photo.jpg",
            "--out",
            "predictions",
            *score,
        ]
    )
