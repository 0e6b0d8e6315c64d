"""Writes the page of a run, and the index of all runs, from journals and results."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from sightline.config.digest import StepName
from sightline.config.schema import Config
from sightline.config.task_declarations import DEFAULT_TASK, index_metrics
from sightline.data.git.commands import explain_os_errors
from sightline.registry.results import result_values
from sightline.registry.store import STEP_OF
from sightline.report.pages.key_numbers import choices, key_numbers, summary_of_result
from sightline.report.pages.run_index import RunSummary, write_run_index
from sightline.report.pages.run_page import RunPage, TaskView, write_run_page
from sightline.runs.document import RunDocument, read_runs, run_address, write_document
from sightline.runs.folder import run_folder
from sightline.runs.journal import TaskEntry, read_journal
from sightline.runs.step_table import BY_NAME
from sightline.runs.tensorboard import tensorboard_command, tensorboard_folder
from sightline.storage import Download, open_storage
from sightline.storage.files import downloaded
from sightline.url_secrets import holds_secret

ORDER = tuple(BY_NAME)

FOUND = "its results existed already"
"""Text in the index for a run whose evaluation was done by an earlier run."""


def write_pages(config: Config, document: RunDocument) -> None:
    """Write ``run.json``, the page of the run, and the index of all runs.

    Raises:
        SightlineError: The work volume is not writable, or the result bucket cannot be read.
    """
    folder = run_folder(Path(config.work.dir), document.run_id)
    with explain_os_errors("write the page of the run", folder):
        _write_pages(config, document, folder)


def _write_pages(config: Config, document: RunDocument, folder: Path) -> None:
    work = Path(config.work.dir)
    write_document(work, document)
    journal = read_journal(work, document.run_id)
    tasks = _task_views(document, journal)
    results: dict[StepName, dict[str, Any]] = {
        step: result_values(step, journal[step].result)
        for step in STEP_OF.values()
        if step in journal and journal[step].result
    }
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        page = RunPage(
            run_id=document.run_id,
            name=document.name,
            task=_task(document),
            recipe=document.recipe,
            overrides=document.overrides,
            dataset_tag=document.dataset_tag,
            code_rev=document.code_rev,
            configuration=yaml.safe_dump(document.configuration, sort_keys=False),
            state=document.state,
            started=datetime.fromisoformat(document.started),
            seconds=document.seconds or None,  # unknown for a killed run
            command=document.command,
            tasks=tasks,
            message=document.message,
            index_link="../../index.html",
            resume_command=_resume_command(document),
            needs_correction=any(one.needs_correction for one in journal.values() if one.state == "failed"),
            tensorboard_command=_tensorboard_command(work, document, results),
            tensorboard_note=_tensorboard_note(document, journal),
            drawn_links=_drawn_links(results, folder / "report"),
            links=_links(document),
            edges=list(itertools.pairwise(ORDER)),
            results=results,
            files={step: _fetch(config, result, Path(scratch) / step) for step, result in results.items()},
        )
        write_run_page(folder / "report" / "index.html", page)
    write_index(work)


def _links(document: RunDocument) -> dict[str, str]:
    """Links to the dashboard for a Kubeflow run, and to trackers in the environment without a password."""
    links = {
        "Kubeflow": "" if document.pid else run_address(document.run_id),
        "TensorBoard": os.environ.get("SIGHTLINE_TENSORBOARD", ""),
        "MLflow": os.environ.get("MLFLOW_TRACKING_URI", ""),
    }
    pages = {title: address for title, address in links.items() if address.startswith(("http://", "https://"))}
    return {title: address for title, address in pages.items() if not holds_secret(address)}


def write_index(work: Path) -> None:
    """Write ``runs/index.html``: every run on this work volume, newest first."""
    write_run_index(work / "runs" / "index.html", [_summary(work, document) for document in read_runs(work)])


def _task_views(document: RunDocument, journal: Mapping[str, TaskEntry]) -> list[TaskView]:
    """The tasks in order; a failed run always has a failed task, even if the task could not report it."""
    views = [_task_view(step, journal.get(step), document) for step in ORDER]
    told = {"failed", "interrupted", "stopped"}
    if document.state != "failed" or any(view.state in told for view in views):
        return views
    last = max((ORDER.index(step) for step in journal if step in ORDER[:-1]), default=-1)
    for index in range(last + 1, len(ORDER) - 1):  # the first task that never started; finish wrote this page
        if _is_asked(ORDER[index], document) and not (ORDER[index] == "promote" and not _promotes(journal)):
            message = document.message or "it failed without a message; see its log"
            views[index] = replace(views[index], state="failed", message=message)
            break
    return views


def _promotes(journal: Mapping[str, TaskEntry]) -> bool:
    """Whether evaluate selected a model to promote."""
    entry = journal.get("evaluate")
    result = result_values("evaluate", entry.result) if entry and entry.result else {}
    return any(selection["promoted"] for selection in result.get("selections", []))


def _is_asked(step: str, document: RunDocument) -> bool:
    return step in {"resolve", "finish", *document.steps} or (step == "promote" and "evaluate" in document.steps)


def _task_view(step: str, entry: TaskEntry | None, document: RunDocument) -> TaskView:
    title, run_state = BY_NAME[step].title, document.state
    if entry is not None:
        seconds = None if entry.state == "running" else entry.seconds
        state, message = entry.state, entry.message
        if state == "running" and run_state != "running" and step != "finish":
            state = "failed" if run_state == "failed" else "interrupted"
            message = "it was stopped, evicted or lost while it ran"  # its pod could not report it
        return TaskView(step, title, state, seconds, entry.inputs, entry.outputs, message)
    if not _is_asked(step, document):
        return TaskView(step, title, "skipped", message="not part of this run; its last result is used")
    if run_state == "running":
        return TaskView(step, title, "skipped", message="waits for the tasks before it")
    if step == "finish":
        return TaskView(step, title, "succeeded", message="it wrote this page")
    if step == "promote" and run_state == "succeeded":
        return TaskView(step, title, "skipped", message="there was no new champion to promote")
    return TaskView(step, title, "skipped", message="not reached")


def _resume_command(document: RunDocument) -> str:
    """The command that continues an interrupted run: the same command locally, a separate one on Kubeflow."""
    if document.state in {"succeeded", "running"}:
        return ""
    return document.command if document.pid else f"python pipeline.py resume {document.run_id}"


def _tensorboard_command(work: Path, document: RunDocument, results: Mapping[StepName, Mapping[str, Any]]) -> str:
    if "tensorboard" not in document.configuration.get("train", {}).get("trackers", []):
        return ""
    published = str(results.get("train", {}).get("history", "")).rpartition("/")[0]
    return tensorboard_command(tensorboard_folder(work, document.run_id, published))


def _tensorboard_note(document: RunDocument, journal: Mapping[str, TaskEntry]) -> str:
    """Why there are no TensorBoard logs, if there are none."""
    if "train" not in journal:
        return "Training did not run."
    if "tensorboard" in document.configuration.get("train", {}).get("trackers", []):
        return "There are no TensorBoard logs of this training."
    return ""


def _drawn_links(results: Mapping[StepName, Mapping[str, Any]], page_folder: Path) -> dict[StepName, str]:
    """Links from the page to the drawn images of evaluate and test, if the bucket is a local folder."""
    links: dict[StepName, str] = {}
    steps: tuple[StepName, ...] = ("evaluate", "test")
    for step in steps:
        place = str(results.get(step, {}).get("files", "")).removeprefix("file://")
        if place.startswith("/") and Path(place).is_dir():
            links[step] = Path(os.path.relpath(place, page_folder)).as_posix()
    return links


def _task(document: RunDocument) -> str:
    return str(document.configuration.get("task", DEFAULT_TASK))


def _summary(work: Path, document: RunDocument) -> RunSummary:
    journal = read_journal(work, document.run_id)
    results = {
        step: result_values(step, journal[step].result)
        for step in ("evaluate", "test")
        if step in journal and journal[step].result
    }
    evaluated = summary_of_result(results["evaluate"], "val") if "evaluate" in results else None
    names = {model.sha256: name for name, model in evaluated.models.items()} if evaluated else {}
    tested = summary_of_result(results["test"], "test", names) if "test" in results else None
    selections = evaluated.selections if evaluated else []
    found = evaluated is not None and journal["evaluate"].state == "reused"
    link = f"{document.run_id}/report/index.html"
    task = _task(document)
    return RunSummary(
        run_id=document.run_id,
        started=datetime.fromisoformat(document.started),
        dataset_tag=document.dataset_tag,
        recipe=document.recipe,
        state=document.state,
        seconds=document.seconds or None,  # unknown for a killed run
        link=link if (work / "runs" / link).is_file() else "",  # a Kubeflow run gets its page when it ends
        message=document.message if document.state not in {"succeeded", "running"} else "",
        numbers=key_numbers(index_metrics(task), selections, evaluated, tested),
        decisions={
            one.selection.metric: f"{one.name}, {FOUND if found else one.selection.decision}"
            for one in choices(selections, evaluated)
        },
    )


def _fetch(config: Config, result: Mapping[str, Any], folder: Path) -> Path:
    """Copy the files of a result that its report shows; models are not copied."""
    storage = open_storage(config.storage.uri)
    uri = str(result.get("files") or str(result["history"]).rpartition("/")[0])
    prefix = uri.removeprefix(storage.uri + "/") + "/"
    shown = (key for key in storage.names(prefix) if not key.endswith(".safetensors"))
    items = (Download(key, partial(downloaded, folder / key.removeprefix(prefix))) for key in shown)
    for outcome in storage.download_many(items):
        if outcome.error:
            raise outcome.error
    return folder
