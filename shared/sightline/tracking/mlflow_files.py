"""Images, precision-recall curves and models as files of an MLflow run."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

from sightline.tracking.curves import draw_curves, read_curves
from sightline.tracking.mlflow_run import IMAGES_TAG, MlflowRun, safe_name
from sightline.tracking.record import Record

_UNSAFE_KEY = re.compile(r"[^a-zA-Z0-9_\-./ ]")

FILE_KINDS = frozenset({"images", "curves", "model"})
"""Kinds of records that are sent as files."""


def send_file(run: MlflowRun, record: Record) -> None:
    """Send a record of :data:`FILE_KINDS`.

    Raises:
        OSError: The place for the files cannot be reached, or a file of ours cannot be read.
        Exception: Whatever the library of that place raises.
    """
    if record.kind == "images":
        _send_images(run, record)
    elif record.kind == "curves":
        _send_curves(run, record)
    else:
        _send_model(run, record)


def _send_images(run: MlflowRun, record: Record) -> None:
    """The images, in the run's tab for images; each with a slider over the iterations."""
    if record.iteration <= run.images:
        return
    for index, image in enumerate(record.values):
        key = _UNSAFE_KEY.sub("_", f"{record.name}/{index} {image.caption}".strip())
        run.client.log_image(
            run.run_id, image.pixels, key=key, step=record.iteration, timestamp=record.milliseconds, synchronous=True
        )
    run.client.set_tag(run.run_id, IMAGES_TAG, str(record.iteration))


def _send_curves(run: MlflowRun, record: Record) -> None:
    """One drawing of all classes, and its numbers."""
    name = f"curves/{safe_name(record.name)}/{record.iteration:08d}"
    run.client.log_text(run.run_id, json.dumps(record.values), f"{name}.json")
    title = f"{record.name} after iteration {record.iteration}"
    run.client.log_figure(run.run_id, draw_curves(title, read_curves(record.values)), f"{name}.png")


def _send_model(run: MlflowRun, record: Record) -> None:
    """The model as ``models/<name>.safetensors``; tags with its digest and metrics lead to it in our database."""
    path = Path(record.values["path"])
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    tag = f"sightline.model.{safe_name(record.name)}"
    run.client.set_tag(run.run_id, f"{tag}.sha256", sha256)
    run.client.set_tag(run.run_id, f"{tag}.metrics", json.dumps(record.values["metrics"])[:5000])
    run.client.log_artifact(run.run_id, str(path), "models")
