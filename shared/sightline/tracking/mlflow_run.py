"""The run of a training in MLflow: the one of Kubeflow, the one it used before it was interrupted, or a new one."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sightline.tracking.description import TrackedTraining
from sightline.url_secrets import redact

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

KEY_TAG = "sightline.training"
ITERATION_TAG = "sightline.iteration"
"""The last iteration with values in the run; it is written together with them."""

IMAGES_TAG = "sightline.images"
"""The last iteration with images in the run."""

_LONGEST = 300
_UNSAFE = re.compile(r"[^/\w.\- :]")

_log = logging.getLogger(__name__)


class MlflowAwayError(OSError):
    """The server cannot be reached, does not know the credentials or the run, or has a fault of its own."""


class MlflowRefusedError(Exception):
    """The server refuses a value, and would refuse it again."""


def safe_name(name: str) -> str:
    """A name without characters that MLflow refuses.

    Example:
        >>> safe_name("val/AP of 'cat & dog'")
        'val/AP of _cat _ dog_'
    """
    return _UNSAFE.sub("_", name)


@contextmanager
def translated(uri: str) -> Iterator[None]:
    """Tell MLflow's errors that pass from those that do not.

    Args:
        uri: The address, for messages.

    Raises:
        MlflowAwayError: Repeat the request later.
        MlflowRefusedError: The request is invalid.
    """
    from mlflow.exceptions import ERROR_CODE_TO_HTTP_STATUS, MlflowException

    try:
        yield
    except MlflowException as error:
        text = redact(str(error)).strip()
        text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
        if ERROR_CODE_TO_HTTP_STATUS.get(error.error_code) == 400:
            raise MlflowRefusedError(f"{redact(uri)}: {text}") from error
        raise MlflowAwayError(f"{redact(uri)}: {text}") from error


@dataclass(frozen=True, slots=True)
class MlflowRun:
    """An open run.

    Attributes:
        client: The client of its server.
        run_id: Its id.
        is_own: Whether this training created it, and therefore ends it.
        parameters: Names of the parameters that it has.
        logged: The last iteration that it has values of.
        images: The last iteration that it has images of.
    """

    client: MlflowClient
    run_id: str
    is_own: bool
    parameters: frozenset[str]
    logged: int
    images: int

    def has_metric(self, name: str, iteration: int) -> bool:
        """Whether it has a value of a metric at an iteration."""
        return any(metric.step == iteration for metric in self.client.get_metric_history(self.run_id, name))


def open_run(client: MlflowClient, training: TrackedTraining) -> MlflowRun:
    """Open the run of a training.

    Inside Kubeflow, ``MLFLOW_RUN_ID`` names the run of the task; it is never replaced by another one.
    """
    injected = os.environ.get("MLFLOW_RUN_ID", "")
    run = client.get_run(injected) if injected else _own_run(client, training)
    tags = {KEY_TAG: training.key, **training.tags}
    for name, value in tags.items():
        if value and run.data.tags.get(name) != value:
            client.set_tag(run.info.run_id, name, value)
    if not injected and run.info.status != "RUNNING":
        client.update_run(run.info.run_id, status="RUNNING")
    _log.info("tracker mlflow: run %s of experiment %s", run.info.run_id, run.info.experiment_id)
    return MlflowRun(
        client,
        run.info.run_id,
        is_own=not injected,
        parameters=frozenset(run.data.params),
        logged=int(run.data.tags.get(ITERATION_TAG, 0)),
        images=int(run.data.tags.get(IMAGES_TAG, 0)),
    )


def _own_run(client: MlflowClient, training: TrackedTraining) -> Run:
    """The run that this training used before it was interrupted, or a new one.

    A training with the same key that finished long ago is not continued.
    """
    experiment = os.environ.get("MLFLOW_EXPERIMENT_ID", "") or _experiment(client, training)
    if training.key:
        for run in client.search_runs([experiment], f"tags.`{KEY_TAG}` = '{training.key}'", max_results=1):
            if training.resume_iteration or run.info.status != "FINISHED":
                return run
    name = " ".join(part for part in (training.dataset, training.key[:8]) if part)
    return client.create_run(experiment, run_name=name, tags={KEY_TAG: training.key})


def _experiment(client: MlflowClient, training: TrackedTraining) -> str:
    """The id of the experiment with the name of the dataset, or in ``MLFLOW_EXPERIMENT_NAME``."""
    from mlflow.exceptions import MlflowException

    name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "") or training.dataset
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        try:
            return client.create_experiment(name, _artifacts(client.tracking_uri))
        except MlflowException:  # another training was first
            experiment = client.get_experiment_by_name(name)
            if experiment is None:
                raise
    return experiment.experiment_id


def _artifacts(uri: str) -> str | None:
    """The folder for the files of a SQLite store, next to it; a server has its own place."""
    path = uri.removeprefix("sqlite:///").partition("?")[0]
    return f"{path.removesuffix('.sqlite')}-artifacts" if uri.startswith("sqlite:///") else None
