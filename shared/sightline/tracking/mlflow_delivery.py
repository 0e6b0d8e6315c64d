"""Sends records to MLflow, in few requests and none twice."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from sightline.tracking.description import TrackedTraining
from sightline.tracking.mlflow_files import FILE_KINDS, send_file
from sightline.tracking.mlflow_run import (
    ITERATION_TAG,
    MlflowRefusedError,
    MlflowRun,
    open_run,
    safe_name,
    translated,
)
from sightline.tracking.record import Record

_METRICS, _PARAMETERS, _VALUE = 900, 100, 6000
"""Limits of MLflow: metrics and parameters of a request, characters of a parameter."""

_ATTEMPTS = 2
"""Attempts to upload a file: without its files, a run is still useful, and its values must not wait for them."""

Part = TypeVar("Part")


class Delivery:
    """Sends records to the run of a training, which it opens with the first ones.

    Args:
        uri: MLflow's address.
        training: The training.
    """

    def __init__(self, uri: str, training: TrackedTraining) -> None:
        self._uri, self._training = uri, training
        self._run: MlflowRun | None = None

    def deliver(self, records: Sequence[Record]) -> None:
        """Send records in order; those that were sent before are skipped.

        Raises:
            OSError: MLflow is away.
            MlflowRefusedError: It refused some of them; the others were sent.
        """
        if self._run is None:
            with translated(self._uri):
                from mlflow import MlflowClient

                self._run = open_run(MlflowClient(self._uri), self._training)
        groups = _groups(record for record in records if not record.is_done)
        refused = [error for group in groups for error in self._send(self._run, group)]
        if refused:
            raise refused[0]

    def _send(self, run: MlflowRun, group: list[Record]) -> list[MlflowRefusedError]:
        """Send records of one kind; return the errors of those that were refused."""
        kind = group[0].kind
        try:
            with translated(self._uri):
                if kind in FILE_KINDS:
                    send_file(run, group[0])
                elif kind == "metrics":
                    _send_metrics(run, group)
                elif kind == "parameters":
                    _send_parameters(run, group[0].values)
                else:
                    _send_end(run, group[0])
        except MlflowRefusedError as error:
            if len(group) > 1:
                return [error for record in group for error in self._send(run, [record])]
            group[0].is_done = True
            return [error]
        except Exception as error:
            group[0].attempts += 1
            may_pass = isinstance(error, OSError) and not isinstance(error, FileNotFoundError)
            if kind not in FILE_KINDS or (may_pass and group[0].attempts < _ATTEMPTS):
                raise
            group[0].is_done = True
            return [MlflowRefusedError(f"{kind} {group[0].name}: {error}")]
        for record in group:
            record.is_done = True
        return []


def _groups(records: Iterable[Record]) -> Iterator[list[Record]]:
    """Runs of metrics that fit into one request; everything else alone."""
    group: list[Record] = []
    for record in records:
        fits = sum(len(one.values) for one in group) + len(record.values) <= _METRICS
        if group and not (record.kind == group[0].kind == "metrics" and fits):
            yield group
            group = []
        group.append(record)
    if group:
        yield group


def _send_metrics(run: MlflowRun, records: Sequence[Record]) -> None:
    from mlflow.entities import Metric, RunTag

    metrics = [
        Metric(name, value, record.milliseconds, record.iteration)
        for record in records
        if record.iteration >= run.logged
        for name, value in zip(map(safe_name, record.values), record.values.values(), strict=True)
        if record.iteration > run.logged or not run.has_metric(name, record.iteration)
    ]
    for part in _parts(metrics, _METRICS):
        run.client.log_batch(run.run_id, metrics=part, tags=[RunTag(ITERATION_TAG, str(part[-1].step))])


def _send_parameters(run: MlflowRun, parameters: Mapping[str, Any]) -> None:
    from mlflow.entities import Param

    texts = {safe_name(name): json.dumps(value) if value is None else str(value) for name, value in parameters.items()}
    missing = [Param(name, text[:_VALUE]) for name, text in texts.items() if name not in run.parameters]
    for part in _parts(missing, _PARAMETERS):
        run.client.log_batch(run.run_id, params=part)


def _send_end(run: MlflowRun, record: Record) -> None:
    """End the run, or only note the error if Kubeflow will end it."""
    if record.name:
        run.client.set_tag(run.run_id, "sightline.error", record.name)
    if run.is_own:
        run.client.set_terminated(run.run_id, record.values, record.milliseconds)


def _parts(items: Sequence[Part], size: int) -> Iterator[Sequence[Part]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
