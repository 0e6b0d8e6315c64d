"""The description and state of a run: ``run.json`` in its folder on the work volume."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sightline.config.task_declarations import headline_metrics, own_metrics
from sightline.database import RunRecord, RunState
from sightline.documents import DocumentError, DocumentKind
from sightline.errors import StepError
from sightline.files import write_atomically
from sightline.registry.results import result_values
from sightline.runs.folder import run_folder
from sightline.runs.journal import read_journal


@dataclass(slots=True)
class RunDocument:
    """``run.json`` in the run's folder.

    Attributes:
        run_id: Begins with the time, so that ids sort chronologically.
        recipe: The recipe's name or path.
        overrides: As given.
        steps: The requested steps.
        dataset_tag: The annotation tag.
        code_rev: The code revision.
        configuration: The full configuration.
        command: The command that repeats the run.
        state: State of the run.
        started: UTC, ISO 8601.
        seconds: Duration of the run.
        pid: The process of a local run; 0 on Kubeflow.
        host: The machine of that process.
        message: Why it failed, or who stopped it.
        resumed: How often a task started on a closed Kubeflow run.  Kubeflow does not run finish again after it has
            ended, so from then on the last task closes the run.
        told: The last state that was sent to the webhook.
        name: The run's name on Kubeflow; empty for a local run, whose id is its name.
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
    name: str = ""


RUN = DocumentKind("run document", RunDocument)


def write_document(work: Path, document: RunDocument) -> None:
    """Write ``run.json``.

    Raises:
        StepError: The work volume is not writable.
    """
    write_atomically(run_folder(work, document.run_id) / "run.json", json.dumps(RUN.encode(document), indent=1))


def read_document(work: Path, run_id: str) -> RunDocument | None:
    """``run.json`` of a run; None if it does not exist.

    Raises:
        StepError: It cannot be read.
    """
    path = run_folder(work, run_id) / "run.json"
    return _document(path) if path.is_file() else None


def read_runs(work: Path) -> list[RunDocument]:
    """Every run on this work volume, newest first.

    Raises:
        StepError: A ``run.json`` cannot be read.
    """
    documents = []
    for path in sorted((work / "runs").glob("*/run.json"), reverse=True):
        with suppress(FileNotFoundError):  # garbage collection may remove an old run concurrently
            documents.append(_document(path))
    return documents


def _document(path: Path) -> RunDocument:
    """Read the document of a run, written by this release or a newer one: finish may run older code than the tasks."""
    try:
        return RUN.decode(path.read_bytes())
    except DocumentError as error:
        remedy = error.remedy(f"restore it, or remove the folder {path.parent} to forget the run")
        raise StepError(f"{path} cannot be read ({error}); {remedy}") from error


def run_record(document: RunDocument) -> RunRecord:
    """The database record of a run."""
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
    """``result: box_AP50=... seconds=...`` of the run's own best candidate, on the test split if it has images."""
    evaluated, tested = _outcome(work, document)
    metrics = (tested[0]["metrics"] if tested else {}) or best_candidate_metrics(evaluated)
    return " ".join(["result:", *_numbers(metrics, evaluated.get("selections", [])), f"seconds={document.seconds:.1f}"])


def champion_lines(work: Path, document: RunDocument) -> list[str]:
    """What became of the champion.

    Its metrics if the run promoted none, or why it could not be measured; and each decision of the gate, with its
    interval.
    """
    evaluated, tested = _outcome(work, document)
    selections = evaluated.get("selections", [])
    staying: dict[str, list[str]] = {}
    reasons = []
    for one in selections:
        if one.get("promoted") or not one.get("candidate"):
            continue
        if one["champion"] == "measured" and one["sha256"] != one["candidate_sha256"]:
            staying.setdefault(one["sha256"], []).append(one["metric"])
        else:
            reason = str(one["reason"])
            none, text = "no champion: ", reason.removeprefix("no champion: ")
            reasons.append(f"champion: {'none: ' if reason.startswith(none) else ''}{text}")
    lines = []
    for sha256, chosen in staying.items():
        models = [model for model in (tested or evaluated.get("models", [])) if model["sha256"] == sha256]
        tag = next(one["champion_tag"] for one in selections if one["sha256"] == sha256)
        by = "" if len(chosen) == len(selections) else f" by {', '.join(chosen)}"
        lines.append(
            " ".join([f"champion: {tag} stays{by}:", *_numbers(models[0]["metrics"] if models else {}, selections)])
        )
    decisions = [
        f"gate: {one['reason']}" for one in selections if (one.get("gate") or {}).get("difference") is not None
    ]
    return lines + reasons + decisions


def best_candidate_metrics(evaluated: Mapping[str, Any]) -> dict[str, float]:
    """The val metrics of the best candidate by the first selection metric, from evaluate's result as JSON values."""
    models: list[dict[str, Any]] = evaluated.get("models", [])
    selections: list[dict[str, Any]] = evaluated.get("selections", [])
    first = selections[0].get("candidate_sha256", "") if selections else ""
    best = next((model for model in models if model["sha256"] == first), models[0] if models else {"metrics": {}})
    metrics: dict[str, float] = best["metrics"]
    return metrics


def _outcome(work: Path, document: RunDocument) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The result of evaluate, and the models measured by test; empty if unknown."""
    journal = read_journal(work, document.run_id)
    results = {
        step: result_values(step, journal[step].result)
        for step in ("evaluate", "test")
        if step in journal and journal[step].result
    }
    return results.get("evaluate", {}), results.get("test", {}).get("models", [])


def _numbers(metrics: Mapping[str, float], selections: Sequence[Mapping[str, Any]]) -> list[str]:
    """The headline metrics, and the recipe's own metrics that select models."""
    names = [metric.name for metric in headline_metrics()] + own_metrics(one["metric"] for one in selections)
    return [f"{name}={metrics[name]:.4f}" for name in names if name in metrics]


def run_address(run_id: str) -> str:
    """The address of a run on Kubeflow's dashboard; empty if no dashboard is configured."""
    dashboard = os.environ.get("SIGHTLINE_DASHBOARD", "").rstrip("/")
    return f"{dashboard}/#/runs/details/{run_id}" if dashboard else ""
