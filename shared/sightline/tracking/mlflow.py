"""Trainings in MLflow: parameters, curves, images, models."""

from __future__ import annotations

import os

from sightline.errors import ConfigurationError
from sightline.tracking.description import TrackedTraining
from sightline.tracking.mlflow_delivery import Delivery
from sightline.tracking.recording import RecordingTracker, require_package
from sightline.url_secrets import redact

_DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",  # seconds
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",  # the outbox repeats, and says so
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
"""MLflow reads these from the environment only; what the user set is kept."""


class MlflowTracker(RecordingTracker):
    """Logs to the run that Kubeflow made for the task (``MLFLOW_RUN_ID``), or to one run per training.

    The address is ``MLFLOW_TRACKING_URI``, which Kubeflow sets together with the run, or else that of the training.
    MLflow reads credentials from its own variables.

    Args:
        training: The training.  After a resume, it goes on in the same run, and iterations that the run has are not
            sent again.

    Raises:
        ConfigurationError: MLflow is not installed, or the address is that of a folder.
    """

    def __init__(self, training: TrackedTraining) -> None:
        require_package("mlflow", "mlflow-skinny")
        for name, value in _DEFAULTS.items():
            os.environ.setdefault(name, value)
        super().__init__("mlflow", training, Delivery(_address(training), training).deliver)


def _address(training: TrackedTraining) -> str:
    """The address to log to.

    Raises:
        ConfigurationError: It is a folder, which MLflow 3 does not support any more.
    """
    address = os.environ.get("MLFLOW_TRACKING_URI", "") or training.mlflow_uri
    address = address or f"sqlite:///{training.folder.absolute()}/mlflow.sqlite"
    if address != "databricks" and ("://" not in address or address.startswith("file:")):
        raise ConfigurationError(
            f"MLFLOW_TRACKING_URI: {redact(address)!r} is a folder, which MLflow no longer supports; expected the URI "
            "of a server, such as https://mlflow.example.com, or sqlite:///PATH"
        )
    return address


TRACKER = MlflowTracker
