"""The selected models in the result bucket: ``evaluation/<training tag>/<metric>/``, published manifest last.

A summary is named after its contents, because two evaluations may describe one model at once: the manifest names one.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from sightline.errors import ObjectNotFoundError, PreconditionFailedError, StepError
from sightline.registry.results import Selection
from sightline.storage import Storage

MODEL_FILE = "model.safetensors"
_ATTEMPTS = 10


def model_uri(storage: Storage, training_tag: str, metric: str, sha256: str) -> str:
    """The URI under which a model that was selected by a metric is published."""
    return storage.uri_of(f"{_folder(training_tag, metric, sha256)}/{MODEL_FILE}")


def publish_model(
    storage: Storage, training_tag: str, selection: Selection, model: Path, summary: dict[str, Any]
) -> None:
    """Upload a selected model and what is known of it, its manifest last, then point ``CURRENT.json`` at it.

    ``CURRENT.json`` names new champions and champions that stay; a candidate that is not promoted is not pointed at.

    Args:
        storage: The result bucket.
        training_tag: The data that it was selected on.
        selection: The model and the metric that selected it.
        model: The model file.
        summary: Its measurement as JSON values.

    Raises:
        StepError: Too many other runs moved ``CURRENT.json`` at the same time.
    """
    metric, sha256 = selection.metric, selection.sha256
    folder = _folder(training_tag, metric, sha256)
    uploaded = storage.upload(model, f"{folder}/{MODEL_FILE}", if_generation=0)
    described = _json(summary)
    name = f"summary-{hashlib.sha256(described).hexdigest()[:16]}.json"
    written = storage.write_bytes(f"{folder}/{name}", described, if_generation=0)
    manifest = {
        "sha256": sha256,
        "metric": metric,
        "training_tag": training_tag,
        "files": {
            MODEL_FILE: {"size": uploaded.size, "crc32c": uploaded.crc32c},
            name: {"size": written.size, "crc32c": written.crc32c},
        },
    }
    storage.write_bytes(f"{folder}/manifest.json", _json(manifest))
    if selection.promoted or selection.champion in {"", "measured"}:
        _point(storage, f"evaluation/{training_tag}/{metric}/CURRENT.json", {"sha256": sha256, "folder": folder})


def _folder(training_tag: str, metric: str, sha256: str) -> str:
    return f"evaluation/{training_tag}/{metric}/{sha256[:16]}"


def _point(storage: Storage, key: str, document: dict[str, Any]) -> None:
    data = _json(document)
    for _ in range(_ATTEMPTS):
        try:
            present, info = storage.read_bytes(key)
            generation = info.generation
        except ObjectNotFoundError:
            present, generation = b"", 0
        if present == data:
            return
        try:
            storage.write_bytes(key, data, if_generation=generation)
            return
        except PreconditionFailedError:
            continue
    raise StepError(f"{storage.uri_of(key)} is moved by other runs all the time; run evaluate again when they are done")


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, indent=1, sort_keys=True).encode()
