"""What a run is and how it stands: ``run.json`` in its folder on the work volume, from which its page is made."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from sightline import strict_json
from sightline.database import RunRecord, RunState
from sightline.steps.journal import read_journal, run_folder, write_atomically

_RESULT_METRICS = ("box_AP50", "mask_AP50", "dv_mAP", "EIR")


@dataclass(slots=True)
class RunDocument:
    """``run.json`` in the run's folder.

    Attributes:
        run_id: Begins with the time, so that names sort by it.
        recipe: The recipe's name or path.
        overrides: As given.
        steps: The steps that were asked for.
        dataset_tag: The annotation tag.
        code_rev: The code that runs.
        configuration: The full configuration.
        command: What does the run again.
        state: Where it is.
        started: UTC, ISO 8601.
        seconds: How long it took.
        pid: The process that keeps the run on a laptop; 0 where Kubeflow keeps it.
        host: The machine of that process.
        message: Why it failed, or who stopped it.
        resumed: How often a task began on a run of Kubeflow that was closed.  Kubeflow does not run a finish again that
            has ended, so from then on the last task closes the run.
        told: The state that the webhook was told of last.
    """

    run_id: str
    recipe: str
    overrides: list[str]
    steps: list[str]
    dataset_tag: str
    code_rev: str
    configuration: dict[str, Any]
    command: str
    state: RunState
    started: str
    seconds: float
    pid: int
    host: str = ""
    message: str = ""
    resumed: int = 0
    told: str = ""


def write_document(work: Path, document: RunDocument) -> None:
    """Write ``run.json``.

    Raises:
        StepError: The work volume does not take it.
    """
    write_atomically(run_folder(work, document.run_id) / "run.json", json.dumps(asdict(document), indent=1))


def read_document(work: Path, run_id: str) -> RunDocument | None:
    """``run.json`` of a run; None where there is none."""
    path = run_folder(work, run_id) / "run.json"
    return _document(path) if path.is_file() else None


def read_runs(work: Path) -> list[RunDocument]:
    """Every run on this work volume, newest first."""
    documents = []
    for path in sorted((work / "runs").glob("*/run.json"), reverse=True):
        with suppress(FileNotFoundError):  # garbage collection may remove an old run meanwhile
            documents.append(_document(path))
    return documents


def _document(path: Path) -> RunDocument:
    """A run as it was written down, by this release or a newer one: finish runs the image's code, tasks may not."""
    known = {each.name for each in fields(RunDocument)}
    document = strict_json.decode(path.read_bytes())
    return RunDocument(**{name: value for name, value in document.items() if name in known})


def run_record(document: RunDocument) -> RunRecord:
    """What the database keeps of a run."""
    configuration = json.dumps(document.configuration, sort_keys=True)
    return RunRecord(
        run_id=document.run_id,
        recipe=document.configuration["recipe"],
        configuration=configuration,
        configuration_digest=hashlib.sha256(configuration.encode()).hexdigest(),
        dataset_tag=document.dataset_tag,
        code_rev=document.code_rev,
    )


def result_line(work: Path, document: RunDocument) -> str:
    """``result: box_AP50=... seconds=...`` of the selected model on the test split, as far as it is known."""
    journal = read_journal(work, document.run_id)
    metrics: dict[str, float] = {}
    for step in ("evaluate", "test"):
        if step in journal and journal[step].result:
            metrics = strict_json.decode(journal[step].result)["models"][0]["metrics"]
    numbers = [f"{name}={metrics[name]:.4f}" for name in _RESULT_METRICS if name in metrics]
    return " ".join(["result:", *numbers, f"seconds={document.seconds:.1f}"])


def run_address(run_id: str) -> str:
    """Where Kubeflow's dashboard shows a run; empty where no dashboard is known."""
    dashboard = os.environ.get("SIGHTLINE_DASHBOARD", "").rstrip("/")
    return f"{dashboard}/#/runs/details/{run_id}" if dashboard else ""
