"""The page of one run: its inputs, tasks and results, and the commands to resume or repeat it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from sightline.config.digest import StepName
from sightline.config.task_declarations import (
    DEFAULT_TASK,
    counted_by_class,
    headline_metrics,
    own_metrics,
    reading_metrics,
)
from sightline.errors import DataError
from sightline.report.charts import Chart
from sightline.report.page import reason_of, write_page
from sightline.report.pages.history_charts import history_charts, read_history
from sightline.report.pages.key_numbers import choices, key_numbers, summary_of_result
from sightline.report.pages.model_view import cards, model_views
from sightline.report.pages.run_graph import SMALL, lay_out
from sightline.report.pages.summary import SelectionSummary, Summary, read_summary
from sightline.report.sections import DRAWN_IMAGES, Section

RunState = Literal["succeeded", "failed", "interrupted", "stopped", "running"]
TaskState = Literal["succeeded", "failed", "reused", "skipped", "running", "interrupted", "stopped"]


@dataclass(frozen=True, slots=True)
class TaskView:
    """One task of the run graph.

    Attributes:
        name: Unique in the run; used in ``RunPage.edges``.
        display_name: The label of the box.
        state: ``reused`` means that the result of an earlier run was used, ``skipped`` that the task was not requested.
        seconds: Duration; None if it did not finish.
        inputs: Name of a parameter or artifact -> value or URI.
        outputs: The same for its outputs.
        message: Reason why it failed, was reused or was skipped; may be empty.
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
    """The contents of the run page.  Any part of the results may be missing; the page then says so.

    Attributes:
        run_id: Unique name of the run.
        recipe: Name of the recipe.
        overrides: ``a.b=c``, as given by the user.
        dataset_tag: The requested annotation or training tag.
        code_rev: Revision of the code that ran.
        configuration: The full configuration as YAML or JSON text.
        state: State of the whole run.
        started: Start time, with time zone.
        seconds: Duration; None while it is running.
        command: The exact command that repeats the run.
        resume_command: The command that resumes an unfinished run; empty if the run cannot be resumed.
        needs_correction: Whether its configuration or data made it fail, so that the same command would fail again.
        tensorboard_command: The command that shows its training curves in TensorBoard; empty if there are no logs.
        tensorboard_note: Reason why there is no such command; empty if TensorBoard is not among the trackers.
        tasks: The tasks in the order in which they run.
        edges: (before, after) by task name.
        message: Reason why the run failed, if no task has one.
        index_link: POSIX path of the index of all runs relative to this page; empty if there is none.
        drawn_links: POSIX paths, relative to this page, of the folders with ``summary.json`` of evaluate and test, if
            they are kept on this machine; the page links to their drawn images.
        links: Title -> URL of another page that shows this run.
        results: The steps' ``result.json``, decoded (``dataclasses.asdict`` of a step's result), by ``record``,
            ``train``, ``evaluate`` and ``test``; steps without a result are absent.
        files: Local folder of the files of each step, by the same names: record's ``report.html``, train's
            ``history.json``, evaluate's and test's ``summary.json`` with the drawn images that it names.
        task: Name of the task.
        name: Title of the page if it is not ``run_id``, such as the name of the run in Kubeflow.
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
    task: str = DEFAULT_TASK
    name: str = ""


def write_run_page(path: Path, run: RunPage) -> None:
    """Write the run page as one HTML file that opens offline; parent folders are created.

    Missing or damaged files of steps are listed at the top of the page instead of raising an error, because the page
    matters most for broken runs.

    Args:
        path: The HTML file; replaced as a whole.
        run: The contents.
    """
    faults: list[str] = []
    evaluate = _summary(run, "evaluate", faults)
    test = _summary(run, "test", faults)
    selections = _selections(run, evaluate)
    known_evaluate = evaluate or _summary_of_result(run, "evaluate", {})
    names = {model.sha256: name for name, model in (known_evaluate.models.items() if known_evaluate else ())}
    known_test = test or _summary_of_result(run, "test", names)
    meanings = dict.fromkeys(own_metrics(one.metric for one in selections), "metric of the recipe")
    meanings |= {metric.name: metric.title for metric in headline_metrics()}
    shown_cards = cards(source) if (source := test or evaluate) else []
    write_page(
        path,
        "run_page.html",
        run=run,
        run_message="" if any(task.message and task.message in run.message for task in run.tasks) else run.message,
        across=lay_out([task.name for task in run.tasks], run.edges, down=False, size=SMALL),
        down=lay_out([task.name for task in run.tasks], run.edges, down=True),
        choices=choices(selections, known_evaluate),
        key_numbers=key_numbers([*meanings], selections, known_evaluate, known_test),
        meanings=meanings,
        read_metrics=reading_metrics(),
        record=run.results.get("record"),
        classes=_classes(run, evaluate),
        counted=counted_by_class(run.task),
        train=run.results.get("train"),
        data_report=_data_report(run, faults),
        charts=_charts(run, faults),
        evaluate=evaluate,
        evaluate_models=model_views(evaluate, "evaluate") if evaluate else [],
        test=test,
        test_models=model_views(test, "test") if test else [],
        cards=shown_cards,
        val_cards=_only_on_val(evaluate, shown_cards) if test and evaluate else [],
        index_link=quote(run.index_link),
        drawn=_drawn_folders(run),
        speeds=_speeds(run, known_test),
        environments=_environments(run),
        predict_command=_predict_command(selections, known_evaluate),
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


def _only_on_val(evaluate: Summary, shown: Sequence[Section]) -> list[Section]:
    """The sections that only the val split has, such as thresholds, which are not chosen on test."""
    ids = {card.id for card in shown}
    return [card for card in cards(evaluate) if card.id not in ids and card.kind != DRAWN_IMAGES.kind]


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
        faults.append(f"{path}: cannot show the data report: {reason_of(error)}; run record again")
        return None


def _selections(run: RunPage, evaluate: Summary | None) -> list[SelectionSummary]:
    """From the summary of evaluate, or from its result if its files are not on this machine."""
    if evaluate and evaluate.selections:
        return evaluate.selections
    return [SelectionSummary.model_validate(one) for one in run.results.get("evaluate", {}).get("selections", [])]


def _classes(run: RunPage, evaluate: Summary | None) -> list[str]:
    """Classes in the order of the configuration, as evaluate has recorded it, else those with instances.

    Only evaluate knows classes without instances.
    """
    instances = run.results.get("record", {}).get("instances", {})
    counted = [name for counts in instances.values() for name in counts]
    return list(dict.fromkeys([*(evaluate.classes if evaluate else []), *counted]))


def _summary_of_result(run: RunPage, step: Literal["evaluate", "test"], names: Mapping[str, str]) -> Summary | None:
    """A summary of a step without files on this machine, made from its result."""
    result = run.results.get(step)
    return summary_of_result(result, "val" if step == "evaluate" else "test", names) if result else None


def _drawn_folders(run: RunPage) -> dict[str, tuple[str, str]]:
    """For evaluate and test: the folder that links to drawn images lead to (empty if none) and its URI."""
    return {
        step: (quote(run.drawn_links.get(step, "")), str(run.results.get(step, {}).get("files", "")))
        for step in ("evaluate", "test")
    }


def _speeds(run: RunPage, test: Summary | None) -> dict[str, float]:
    """Images per second by name of the model."""
    names = {model.sha256: name for name, model in (test.models.items() if test else ()) if model.sha256}
    return {
        names.get(one.get("sha256", ""), f"selected by {one['metric']}"): one["images_per_second"]
        for one in run.results.get("test", {}).get("models", [])
        if one.get("images_per_second", 0) > 0
    }


def _environments(run: RunPage) -> dict[str, Mapping[str, Any]]:
    """The environment of each step, by its title; results of earlier releases do not have it."""
    titles: dict[StepName, str] = {"train": "Training", "test": "Test"}
    found = {title: run.results.get(step, {}).get("environment") for step, title in titles.items()}
    return {title: values for title, values in found.items() if values}


def _predict_command(selections: Sequence[SelectionSummary], evaluate: Summary | None) -> str:
    """The command to predict with the run's best candidate from the bucket, with the thresholds in its file."""
    if not selections:
        return ""
    uri = choices(selections, evaluate)[0].uri
    command = ["sightline", "model", "predict", uri.removeprefix("file://"), "photo.jpg", "--out", "predictions"]
    return shlex.join(command) if uri else ""
