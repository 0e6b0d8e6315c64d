"""The pages of a run: its own, and the index of all runs beside it; made from its journal and results alone."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from sightline import strict_json
from sightline.config.digest import StepName
from sightline.config.schema import Config
from sightline.data.commands import explain_os_errors
from sightline.database import RunState
from sightline.report.run_index import RunSummary, write_run_index
from sightline.report.run_page import RunPage, TaskView, write_run_page
from sightline.steps.journal import TITLES, TaskEntry, read_journal, run_folder
from sightline.steps.run_document import RunDocument, read_runs, run_address, write_document
from sightline.steps.store import STEP_OF
from sightline.storage import Download, open_storage
from sightline.storage.files import written_whole


def write_pages(config: Config, document: RunDocument) -> None:
    """Write ``run.json``, the page of the run, and the index of all runs.

    Raises:
        SightlineError: The work volume does not take them, or the result bucket cannot be read.
    """
    folder = run_folder(Path(config.work.dir), document.run_id)
    with explain_os_errors("write the page of the run", folder):
        _write_pages(config, document, folder)


def _write_pages(config: Config, document: RunDocument, folder: Path) -> None:
    work = Path(config.work.dir)
    write_document(work, document)
    journal = read_journal(work, document.run_id)
    asked = ["resolve", *document.steps]
    tasks = [_task_view(step, journal.get(step), step in asked, document.state) for step in TITLES]
    results: dict[StepName, dict[str, Any]] = {
        step: strict_json.decode(journal[step].result)
        for step in STEP_OF.values()
        if step in journal and journal[step].result
    }
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        page = RunPage(
            run_id=document.run_id,
            recipe=document.recipe,
            overrides=document.overrides,
            dataset_tag=document.dataset_tag,
            code_rev=document.code_rev,
            configuration=yaml.safe_dump(document.configuration, sort_keys=False),
            state=document.state,
            started=datetime.fromisoformat(document.started),
            seconds=document.seconds or None,  # nobody knows how long a killed run took
            command=document.command,
            tasks=tasks,
            message=document.message,
            index_link="../../index.html",
            links=_links(document),
            edges=list(zip(list(TITLES), list(TITLES)[1:], strict=False)),
            results=results,
            files={step: _fetch(config, result, Path(scratch) / step) for step, result in results.items()},
        )
        write_run_page(folder / "report" / "index.html", page)
    write_index(work)


def _links(document: RunDocument) -> dict[str, str]:
    """To the dashboard for a run of Kubeflow, and to the trackers that the environment names."""
    links = {
        "Kubeflow": "" if document.pid else run_address(document.run_id),
        "TensorBoard": os.environ.get("SIGHTLINE_TENSORBOARD", ""),
        "MLflow": os.environ.get("MLFLOW_TRACKING_URI", ""),
    }
    return {title: address for title, address in links.items() if address.startswith(("http://", "https://"))}


def write_index(work: Path) -> None:
    """Write ``runs/index.html``: every run on this work volume, newest first."""
    write_run_index(work / "runs" / "index.html", [_summary(work, document) for document in read_runs(work)])


def _task_view(step: str, entry: TaskEntry | None, asked: bool, run_state: RunState) -> TaskView:
    if entry is not None:
        if entry.state == "running" and run_state != "running":  # its pod could not say so any more
            entry = replace(entry, state="interrupted", message="it was stopped, evicted or lost while it ran")
        seconds = None if entry.state == "running" else entry.seconds
        return TaskView(step, TITLES[step], entry.state, seconds, entry.inputs, entry.outputs, entry.message)
    if not asked:
        return TaskView(step, TITLES[step], "skipped", message="not asked for; its last result is used")
    waiting = "waits for the tasks before it" if run_state == "running" else "not reached"
    return TaskView(step, TITLES[step], "skipped", message=waiting)


def _summary(work: Path, document: RunDocument) -> RunSummary:
    journal = read_journal(work, document.run_id)
    results = {step: strict_json.decode(entry.result) for step, entry in journal.items() if entry.result}
    tested = results.get("test", {}).get("models", [])
    link = f"{document.run_id}/report/index.html"
    return RunSummary(
        run_id=document.run_id,
        started=datetime.fromisoformat(document.started),
        dataset_tag=document.dataset_tag,
        recipe=document.recipe,
        state=document.state,
        seconds=document.seconds or None,  # nobody knows how long a killed run took
        link=link if (work / "runs" / link).is_file() else "",  # a run of Kubeflow has its page when it ends
        metrics=tested[0]["metrics"] if tested else {},
        winners={
            selection["metric"]: selection["name"] for selection in results.get("evaluate", {}).get("selections", [])
        },
    )


def _fetch(config: Config, result: Mapping[str, Any], folder: Path) -> Path:
    """Copy the files of a result that its report shows; models stay where they are."""
    storage = open_storage(config.storage.uri)
    uri = str(result.get("files") or str(result["history"]).rpartition("/")[0])
    prefix = uri.removeprefix(storage.uri + "/") + "/"
    shown = (key for key in storage.names(prefix) if not key.endswith(".safetensors"))
    items = (Download(key, partial(written_whole, folder / key.removeprefix(prefix))) for key in shown)
    for outcome in storage.download_many(items):
        if outcome.error:
            raise outcome.error
    return folder
