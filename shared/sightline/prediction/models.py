"""Finding a model file by its name: a path, a URI, a digest or its beginning, or a champion."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from sightline.config.published_weights import CHAMPION
from sightline.config.settings import embedded_or_own
from sightline.database import open_database
from sightline.database.queries.names import MIN_DIGITS
from sightline.errors import AmbiguousNameError, ModelFileError, UnknownNameError
from sightline.evaluation.inference import fetch_model
from sightline.registry.named_champion import champion_pointers, find_champion
from sightline.storage import open_storage
from sightline.storage.uris import fetch

if TYPE_CHECKING:
    from sightline.tasks.base import Predictor

_DIGEST = re.compile(rf"[0-9a-fA-F]{{{MIN_DIGITS},64}}")


def find_model(model: str | Path, folder: str | Path, *, storage_uri: str = "", database_url: str = "") -> Path:
    """Find a model file by its name; if it is not a local file, it is downloaded and verified.

    Args:
        model: The path of a model file; its URI; its SHA-256 or at least the first six digits of it, as registered in
            the database; ``champion:DATASET``, or ``champion:DATASET/METRIC`` if a dataset has several champions
            (``champion:DATASET/TASK/METRIC`` for tasks other than instance segmentation).
        folder: Folder for a downloaded file; it must exist as long as the returned path is used.
        storage_uri: The result bucket; empty: that of the settings.
        database_url: The database; empty: that of the settings.

    Raises:
        ModelFileError: There is no such file or champion, or there are several champions.
        UnknownNameError: The database has no such digest, or several digests start with it.
        StepError: The model is registered, but its file no longer exists.
        StorageError: The bucket cannot be read.
    """
    path, folder = Path(model).expanduser(), Path(folder).expanduser()
    model = str(model)
    if path.is_file():
        return path
    if model.startswith(CHAMPION):
        pointer = find_champion(open_storage(storage_uri or embedded_or_own("storage", "uri")), model)
        return fetch_model(pointer.uri, pointer.sha256, folder)
    if "://" in model:
        return fetch(model, folder)
    if path.is_dir():
        raise ModelFileError(f"{model} is a folder; give the model file in it, such as {path / 'model.safetensors'}")
    if _DIGEST.fullmatch(model):
        sha256, uri = _registered(
            model, storage_uri or embedded_or_own("storage", "uri"), database_url or embedded_or_own("database", "url")
        )
        return fetch_model(uri, sha256, folder)
    raise ModelFileError(
        f"{model}: no such file; expected the path or URI of a model file, its SHA-256 or at least the first "
        f"{MIN_DIGITS} digits of it (sightline runs show prints them), or champion:DATASET"
    )


def load_predictor(model: str | Path, device: str = "auto") -> Predictor:
    """Load a model by its name, ready to predict.

    Args:
        model: As for :func:`find_model`.
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        ModelFileError: There is no such model, or its file cannot be used; see also :func:`find_model`.
        ConfigurationError: The device is not available.
    """
    import tempfile

    from sightline.tasks import base

    with tempfile.TemporaryDirectory() as folder:
        return base.load_predictor(find_model(model, folder), device)


def _registered(digits: str, storage_uri: str, database_url: str) -> tuple[str, str]:
    """SHA-256 and URI of a model from the database, or else from the champions in the bucket."""
    with closing(open_database(database_url, create=False)) as database:
        try:
            record = database.model(database.named(digits, ["model"]).name)
        except AmbiguousNameError:
            raise
        except UnknownNameError:
            record = None
            pointers = {
                pointer.sha256: pointer.uri
                for pointer in champion_pointers(open_storage(storage_uri), "")
                if pointer.sha256.startswith(digits.lower())
            }
            if len(pointers) != 1:
                raise
            return next(iter(pointers.items()))
    assert record is not None  # noqa: S101  (its digest was found above)
    return record.sha256, record.uri
