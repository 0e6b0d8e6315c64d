"""The steps as tasks of a pipeline with a journal: the interface for components.

Only text is passed, because a component may call the package of another release: a run may pin older code than its
pipeline, and a pipeline compiled earlier may use code published later.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from sightline import strict_json
from sightline.code.reach import step_code
from sightline.config.decode import from_json, split_overrides
from sightline.config.digest import config_digest
from sightline.config.schema import Config
from sightline.data.git.commands import explain_os_errors
from sightline.data.tags import DatasetTag
from sightline.documents import DocumentError
from sightline.errors import StepError
from sightline.evaluation.subjects import subjects
from sightline.names import NameTable
from sightline.pod import current_run_id, prepare_pod
from sightline.registry import store
from sightline.registry.promotion import is_carried_out
from sightline.registry.results import EvaluateResult, RecordResult, TestResult, TrainResult
from sightline.report.page import alone
from sightline.report.pages.summary import SUMMARY
from sightline.runs import resolve
from sightline.runs.journal import TaskEntry, journalled
from sightline.runs.kubeflow_run import open_run, taking_part
from sightline.steps import described
from sightline.steps.described import Artifact, Description
from sightline.storage import open_storage
from sightline.storage.base import Storage

Result = TypeVar("Result", RecordResult, TrainResult, EvaluateResult, TestResult)

NODES = NameTable("place with several nodes", {"kubeflow": "sightline.kubeflow.train_nodes:train_on_nodes"})
"""What trains on several nodes; the train step does not depend on it, so that a change of it trains nothing again."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Finished:
    """The outputs of a task for Kubeflow.

    Attributes:
        result: The step's result as JSON, for the ``dict`` parameter of the next task.
        metrics: Numbers for the dashboard, by name.
        summary: The step's ``summary.json``, if it has one.
        promoted: ``yes`` if promote has a champion to promote, otherwise ``no``; for a condition in the pipeline.
        description: Description of the dataset or model that the step created; None if it created none.
    """

    result: str
    metrics: dict[str, float] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    promoted: str = "no"
    description: Description | None = None

    def describe(self, artifact: Artifact) -> None:
        """Set the step's Kubeflow artifact to the object that the step created."""
        if self.description is not None:
            self.description.write_to(artifact)

    @property
    def confusion(self) -> tuple[list[str], list[list[int]]]:
        """Class names and matrix of the best candidate by the first metric that selects; rows are true classes.

        An artifact of Kubeflow has one matrix, so those of several label sets become its diagonal blocks, with the
        label set in each name.  Both are empty if the task has none.
        """
        found = [section for section in self._best_sections if section["kind"] == "confusion"]
        if len(found) == 1:
            return found[0]["labels"], found[0]["matrix"]
        names = [f"{one['id'].removeprefix('confusion-')}/{label}" for one in found for label in one["labels"]]
        matrix: list[list[int]] = []
        for one in found:
            before = len(matrix)
            after = len(names) - before - len(one["labels"])
            matrix += [[0] * before + row + [0] * after for row in one["matrix"]]
        return names, matrix

    @property
    def roc(self) -> tuple[list[float], list[float], list[float]]:
        """False positive rates, true positive rates and score thresholds of the ROC curve of the same model.

        All are empty if the task has none.
        """
        charts = [chart for one in self._best_sections if one["kind"] == "charts" for chart in one["charts"]]
        found = next((chart for chart in charts if chart.get("thresholds")), None)
        if found is None:
            return [], [], []
        (true,) = found["lines"].values()
        return [place / (len(true) - 1) for place in range(len(true))], true, found["thresholds"]

    @property
    def _best_sections(self) -> list[dict[str, Any]]:
        """The page sections of the best candidate by the first metric that selects."""
        models = list(self.summary["models"].values())
        best = self.summary["selections"][0].get("candidate_sha256")
        sections: list[dict[str, Any]] = next((one for one in models if one["sha256"] == best), models[0])["sections"]
        return sections


def run_resolve(recipe: str, overrides: str, dataset_tag: str, code_rev: str, *, steps: str) -> resolve.Resolved:
    """Resolve the parameters of a run, and open the run on Kubeflow; ``steps`` are the steps after resolve."""
    prepare_pod()
    resolved = resolve.run(recipe, overrides, dataset_tag, code_rev)
    _log.info("resolve: %s with code %s", resolved.config.data.tag, resolved.code_rev)
    open_run(resolved, recipe, split_overrides(overrides), steps.split(","))
    given = {"recipe": recipe, "overrides": overrides, "dataset tag": dataset_tag, "code revision": code_rev}
    inputs = {name: value for name, value in given.items() if value}
    with (
        taking_part(resolved.config, "resolve") as turn,
        journalled(
            Path(resolved.config.work.dir), "resolve", inputs, attempt=turn.attempt, resumed=turn.resumed
        ) as entry,
    ):
        entry.outputs = {"dataset tag": resolved.config.data.tag, "code revision": resolved.code_rev}
        entry.result = resolved.config.model_dump_json()
    return resolved


def run_record(config: str, code_rev: str, html: str) -> Finished:
    """Run record; ``html`` is the path for the data report."""

    def step(config: Config, storage: Storage, entry: TaskEntry) -> Finished:
        from sightline.steps import record

        result = record.run(config, step_code("record"))
        entry.outputs = {
            "training tag": result.training_tag,
            "images": ", ".join(f"{count} {split}" for split, count in result.images.items()),
        }
        _log.info("%s has %s images", result.training_tag, entry.outputs["images"])
        _copy(storage, result.files, "report.html", html)
        counts = {f"{split}_images": float(count) for split, count in result.images.items()}
        return _finished(storage, entry, result, counts, described.training_set(config, result))

    return _task("record", config, code_rev, step)


def run_train(config: str, code_rev: str, record_result: str) -> Finished:
    """Run train on a training set: ``record_result``, or the last result of record if empty."""

    def step(config: Config, storage: Storage, entry: TaskEntry) -> Finished:
        from sightline.steps import train

        recorded = _upstream(storage, RecordResult, config, record_result)
        entry.inputs["training tag"] = recorded.training_tag
        on_nodes = NODES.load("kubeflow") if config.train.nodes > 1 else None
        result = train.run(config, code_rev, recorded, on_nodes)
        entry.outputs = {
            model.name: f"iteration {model.iteration}, SHA-256 {model.sha256[:12]}" for model in result.candidates
        }
        return _finished(storage, entry, result, result.candidates[0].metrics, described.candidate(config, result))

    return _task("train", config, code_rev, step)


def run_evaluate(config: str, code_rev: str, train_result: str, html: str) -> Finished:
    """Run evaluate on candidates: ``train_result``, or the last result of train if empty.

    If no model was trained on the training tag, the last candidates for another version of the dataset are measured.
    """

    def step(config: Config, storage: Storage, entry: TaskEntry) -> Finished:
        from sightline.steps import evaluate

        trained = _trained(storage, config, train_result)
        entry.inputs["candidates"] = ", ".join(f"{model.name} {model.sha256[:12]}" for model in trained.candidates)
        result = evaluate.run(config, step_code("evaluate"), trained)
        entry.outputs = {selection.metric: selection.reason for selection in result.selections}
        _copy(storage, result.files, "report.html", html)
        dataset = DatasetTag.parse(result.training_tag).dataset
        promoted = "no" if is_carried_out(config, dataset, storage, result) else "yes"
        selected = described.selected(config, result)
        numbers = _best_metrics(result) | _gate_numbers(result)
        return replace(_finished(storage, entry, result, numbers, selected), promoted=promoted)

    return _task("evaluate", config, code_rev, step)


def _best_metrics(result: EvaluateResult) -> dict[str, float]:
    """The metrics of the run's own best candidate by the first selection metric."""
    best = result.selections[0].candidate_sha256
    return next((model.metrics for model in result.models if model.sha256 == best), result.models[0].metrics)


def _gate_numbers(result: EvaluateResult) -> dict[str, float]:
    """What the gate found by the first selection metric; empty without a comparison with a champion."""
    gate = result.selections[0].gate
    if gate is None:
        return {}
    numbers = {
        "gate_difference": gate.difference,
        "gate_low": gate.low,
        "gate_high": gate.high,
        "gate_probability": gate.probability,
    }
    return {name: value for name, value in numbers.items() if value is not None}


def run_promote(config: str, code_rev: str, train_result: str) -> Finished:
    """Promote the models that evaluate selected among the candidates of train."""

    def step(config: Config, storage: Storage, entry: TaskEntry) -> Finished:
        from sightline.steps import promote

        result = promote.run(config, step_code("evaluate"), _trained(storage, config, train_result))
        promoted = [selection for selection in result.selections if selection.promoted]
        entry.outputs = {selection.metric: selection.name for selection in promoted}
        entry.message = "" if promoted else "there was no new champion to promote"
        values = {selection.metric: selection.value for selection in promoted}
        return _finished(storage, entry, result, values, described.champion(config, result))

    return _task("promote", config, code_rev, step)


def run_test(config: str, code_rev: str, evaluate_result: str, html: str) -> Finished:
    """Run test on the selected models: ``evaluate_result``, or the last result of evaluate if empty."""

    def step(config: Config, storage: Storage, entry: TaskEntry) -> Finished:
        from sightline.steps import test

        evaluated = _upstream(storage, EvaluateResult, config, evaluate_result)
        models = subjects(evaluated)
        entry.inputs["models"] = ", ".join(
            f"{one.name} {one.sha256[:12]} by {', '.join(one.metrics)}" for one in models
        )
        result = test.run(config, step_code("test"), evaluated)
        metrics = result.models[0].metrics
        entry.outputs = {name: f"{value:.4f}" for name, value in metrics.items()}
        _copy(storage, result.files, "report.html", html)
        return _finished(storage, entry, result, metrics)

    return _task("test", config, code_rev, step)


def _task(
    step: str,
    config_json: str,
    code_rev: str,
    run: Callable[[Config, Storage, TaskEntry], Finished],
) -> Finished:
    prepare_pod()
    config = from_json(config_json)
    inputs = {"dataset tag": config.data.tag, "code revision": code_rev}
    work = Path(config.work.dir)
    _log.info("%s: %s with code %s", step, config.data.tag, code_rev)
    with (
        taking_part(config, step) as turn,
        journalled(work, step, inputs, attempt=turn.attempt, resumed=turn.resumed) as entry,
        explain_os_errors(f"run {step}", f"work volume {work}"),
    ):
        return run(config, open_storage(config.storage.uri), entry)


def _finished(
    storage: Storage,
    entry: TaskEntry,
    result: Result,
    metrics: dict[str, float],
    description: Description | None = None,
) -> Finished:
    """Complete the journal's entry; a result of another run, or older than the task, counts as reused."""
    entry.result = store.to_json(result)
    run_id, maker = current_run_id(), store.run_of(storage, result)
    older = store.created(storage, result) < datetime.fromisoformat(entry.started).astimezone(UTC)
    if maker != run_id if run_id and maker else older:  # the times may come from two machines
        entry.state = "reused"
        _log.info("%s: already finished, nothing to do", entry.step)
    if metrics:
        _log.info("metrics: %s", " ".join(f"{name}={value:.4g}" for name, value in metrics.items()))  # for `status`
    return Finished(store.to_parameter(result), metrics, _summary(storage, result), description=description)


def _summary(storage: Storage, result: Result) -> dict[str, Any]:
    """The ``summary.json`` among the files of a result; empty if the step writes none."""
    key = f"{store.folder_of(storage, result)}/summary.json"
    if storage.stat(key) is None:
        return {}
    try:
        return SUMMARY.upgrade(strict_json.decode(storage.read_bytes(key)[0]))
    except (strict_json.JsonError, DocumentError) as error:
        again = f"remove {storage.uri_of(key.rsplit('/', 2)[0])}/result.json and run the step again"
        remedy = error.remedy(again) if isinstance(error, DocumentError) else again
        raise StepError(f"{storage.uri_of(key)} cannot be read ({error}); {remedy}") from error


def _upstream(storage: Storage, kind: type[Result], config: Config, result: str) -> Result:
    """The result passed by the previous task, or the last published one."""
    if result:
        return store.from_parameter(kind, result)
    step = store.STEP_OF[kind]
    where = str(DatasetTag.parse(config.data.tag).training)
    found = store.latest_result(storage, kind, where, config_digest(step, config))
    if found is None:
        raise StepError(
            f"there is no finished result of {step} for {where} with this configuration in {storage.uri}; "
            f"run the pipeline with {step} among its --steps"
        )
    return found


def _trained(storage: Storage, config: Config, result: str) -> TrainResult:
    """The result passed by train; or its last one for the training tag, or for another version of the dataset.

    The last is measured on the current training tag, for example in a pipeline with only record and evaluate.
    """
    tag = DatasetTag.parse(config.data.tag)
    where, digest = str(tag.training), config_digest("train", config)
    if result or store.latest_result(storage, TrainResult, where, digest) is not None:
        return _upstream(storage, TrainResult, config, result)
    trained = store.latest_of_dataset(storage, TrainResult, tag.dataset, digest)
    if trained is None:
        raise StepError(
            f"there is no finished result of train for any version of {tag.dataset} with this configuration in "
            f"{storage.uri}; run the pipeline with train among its --steps"
        )
    recorded = _upstream(storage, RecordResult, config, "")
    _log.info("no model was trained on %s; measuring the candidates of %s on it", where, trained.training_tag)
    return replace(
        trained,
        training_tag=recorded.training_tag,
        training_commit=recorded.training_commit,
        trained_on=trained.training_tag,
    )


def _copy(storage: Storage, files: str, name: str, path: str) -> None:
    """Copy a page of a result to the path of a Kubeflow artifact, without links to files that are not copied."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_bytes(alone(storage.read_bytes(f"{files.removeprefix(storage.uri + '/')}/{name}")[0]))
