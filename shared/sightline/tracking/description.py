"""What trackers are told about a training before it starts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sightline.config.schema import Config

Scalar = str | int | float | bool | None
"""The value of a parameter."""


@dataclass(frozen=True, slots=True)
class TrackedTraining:
    """The training that a tracker records.

    Attributes:
        folder: Folder for the tracker's files, kept with the training's other files.
        resume_iteration: The iteration of the checkpoint that training resumes from; whatever a killed process logged
            after it is dropped.  0: a new training.
        key: Identifies the training; the same after a resume, on any machine.
        dataset: Name of the dataset.
        tags: What the training was made from, such as ``sightline.training_tag``; empty values are left out.
        mlflow_uri: Where MLflow stores runs, unless the environment says otherwise.
    """

    folder: Path
    resume_iteration: int = 0
    key: str = ""
    dataset: str = "sightline"
    tags: Mapping[str, str] = field(default_factory=dict)
    mlflow_uri: str = ""


def mlflow_uri(config: Config) -> str:
    """Where MLflow stores runs: ``tracking.mlflow_uri``, or a SQLite file on the work volume."""
    return config.tracking.mlflow_uri or f"sqlite:///{Path(config.work.dir).absolute()}/mlflow.sqlite"


def flat_parameters(document: Mapping[str, Any], prefix: str = "") -> dict[str, Scalar]:
    """A configuration as dotted names and scalars; lists become JSON.

    Args:
        document: The configuration as JSON values.
        prefix: Put before every name.

    Example:
        >>> flat_parameters({"seed": 0, "train": {"batch_size": 4, "trackers": ["text"]}})
        {'seed': 0, 'train.batch_size': 4, 'train.trackers': '["text"]'}
    """
    flat: dict[str, Scalar] = {}
    for name, value in document.items():
        if isinstance(value, Mapping) and value:
            flat |= flat_parameters(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value if isinstance(value, Scalar) else json.dumps(value)
    return flat
