"""The selected models in the result bucket: ``evaluation/<training tag>/<metric>/``, with the manifest published last.

A summary is named by its contents, because two evaluations may describe one model concurrently.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sightline.documents import DocumentKind
from sightline.errors import ObjectNotFoundError, PreconditionFailedError, StepError
from sightline.registry.results import Selection
from sightline.storage import Storage

MODEL_FILE = "model.safetensors"
_ATTEMPTS = 10


@dataclass(frozen=True, slots=True)
class SelectedModel:
    """``manifest.json`` next to a selected model.

    Attributes:
        sha256: SHA-256 of the model file.
        metric: The metric that selected it.
        training_tag: The training tag on which it was selected.
        files: Name -> ``size`` and ``crc32c``.
    """

    sha256: str
    metric: str
    training_tag: str
    files: dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class CurrentModel:
    """``CURRENT.json``: the champion on a training tag by a metric.

    Attributes:
        sha256: SHA-256 of the model file.
        folder: Key of the folder in the bucket that contains it.
    """

    sha256: str
    folder: str


SELECTED_MODEL = DocumentKind("manifest of a selected model", SelectedModel)
CURRENT_MODEL = DocumentKind("pointer to a selected model", CurrentModel)


def model_uri(storage: Storage, training_tag: str, metric: str, sha256: str) -> str:
    """The URI of a model published after it was selected by a metric."""
    return storage.uri_of(f"{_folder(training_tag, metric, sha256)}/{MODEL_FILE}")


def publish_model(
    storage: Storage, training_tag: str, selection: Selection, model: Path, summary: dict[str, Any]
) -> None:
    """Upload a selected model and its metadata, the manifest last, then update ``CURRENT.json``.

    ``CURRENT.json`` points to new champions and champions that stay, never to a candidate that is not promoted.

    Args:
        storage: The result bucket.
        training_tag: The training tag on which it was selected.
        selection: The model and the metric that selected it.
        model: The model file.
        summary: Its measurement as JSON values.

    Raises:
        StepError: Too many other runs changed ``CURRENT.json`` at the same time.
    """
    metric, sha256 = selection.metric, selection.sha256
    folder = _folder(training_tag, metric, sha256)
    uploaded = storage.upload(model, f"{folder}/{MODEL_FILE}", if_generation=0)
    described = _json(summary)
    name = f"summary-{hashlib.sha256(described).hexdigest()[:16]}.json"
    written = storage.write_bytes(f"{folder}/{name}", described, if_generation=0)
    files = {
        MODEL_FILE: {"size": uploaded.size, "crc32c": uploaded.crc32c},
        name: {"size": written.size, "crc32c": written.crc32c},
    }
    manifest = SELECTED_MODEL.encode(SelectedModel(sha256, metric, training_tag, files))
    storage.write_bytes(f"{folder}/manifest.json", _json(manifest))
    if selection.promoted or selection.champion in {"", "measured"}:
        current = CURRENT_MODEL.encode(CurrentModel(sha256, folder))
        _point(storage, f"evaluation/{training_tag}/{metric}/CURRENT.json", current)


def keep_model(storage: Storage, training_tag: str, metric: str, sha256: str, model: Path) -> str:
    """Upload a model that was promoted by hand, or renew it, so that garbage collection leaves it alone.

    Args:
        storage: The result bucket.
        training_tag: The training tag it was trained on.
        metric: The metric of the champion.
        sha256: SHA-256 of the model file.
        model: The model file.

    Returns:
        Its URI in the bucket.
    """
    folder = _folder(training_tag, metric, sha256)
    uploaded = storage.upload(model, f"{folder}/{MODEL_FILE}", if_generation=0)
    files = {MODEL_FILE: {"size": uploaded.size, "crc32c": uploaded.crc32c}}
    manifest = SELECTED_MODEL.encode(SelectedModel(sha256, metric, training_tag, files))
    with contextlib.suppress(PreconditionFailedError):  # a manifest that evaluate has written says more
        storage.write_bytes(f"{folder}/manifest.json", _json(manifest), if_generation=0)
    return storage.uri_of(f"{folder}/{MODEL_FILE}")


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
    raise StepError(f"{storage.uri_of(key)} keeps being changed by other runs; run evaluate again when they are done")


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, indent=1, sort_keys=True).encode()
