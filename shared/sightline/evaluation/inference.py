"""Inference on the images of a split: fetches and verifies a model file, and keeps the predictions."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sightline.config.schema import Config
from sightline.data.formats.coco import CocoDocument
from sightline.data.recording.folds import read_related, read_training_split
from sightline.data.repository.checkout import Checkout, checked_out
from sightline.data.tags import DatasetTag
from sightline.data.workspace import Workspace
from sightline.documents import DocumentError, DocumentKind
from sightline.errors import ModelFileError, ObjectNotFoundError, StepError
from sightline.files import file_sha256, write_atomically
from sightline.storage import open_uri

if TYPE_CHECKING:
    from sightline.tasks.base import Prediction, Predictor


@dataclass(frozen=True, slots=True)
class KeptPredictions:
    """The predictions of a model on the images of a split, kept on the work volume in case the task is killed.

    Attributes:
        images: One object per image, from :meth:`sightline.tasks.base.Prediction.to_json`.
    """

    images: list[dict[str, Any]]


def _from_list(images: list[Any]) -> dict[str, Any]:
    if not isinstance(images, list):
        raise TypeError("not a list")
    return {"images": images}


KEPT_PREDICTIONS = DocumentKind("kept predictions", KeptPredictions, upgrades=(_from_list,))


def training_set_on_disk(config: Config, tag: str, expected_commit: str = "") -> AbstractContextManager[Checkout]:
    """The training set on the work volume; see :func:`sightline.data.repository.checkout.checked_out`."""
    return checked_out(Workspace.of(config), tag, expected_commit=expected_commit)


def read_split(training_set: Checkout, split: Literal["train", "val", "test"], fold: int = 0) -> CocoDocument:
    """One split of a checked-out training set, with what relates its images.

    See :func:`sightline.data.recording.folds.read_training_split`.
    """
    folder = training_set.path / DatasetTag.parse(training_set.tag).folder
    truth, related = read_training_split(folder, split, fold), read_related(folder)
    for image in truth["images"]:
        image["related"] = related[image["file_name"]]
    return truth


def related_images(truth: CocoDocument) -> list[str]:
    """The same name for all images of a split that are not independent of each other, [I]; may be empty for none."""
    return [image.get("related", image["group"]) for image in truth["images"]]


def class_names(truth: CocoDocument) -> list[str]:
    """The class names, in the order of their ids."""
    return list(names_by_id(truth).values())


def names_by_id(truth: CocoDocument) -> dict[int, str]:
    """Category id -> class name, in the order of the ids."""
    categories = sorted(truth["categories"], key=lambda category: category["id"])
    return {category["id"]: category["name"] for category in categories}


def fetch_model(uri: str, sha256: str, folder: Path) -> Path:
    """Fetch a model file from the result bucket, unless it was fetched before.

    Args:
        uri: URI of the file.
        sha256: Expected SHA-256, hexadecimal.
        folder: Folder to store it in, named after its hash.

    Returns:
        The path of the verified file.

    Raises:
        StepError: The file no longer exists.
        ModelFileError: The file has another hash.
    """
    path = folder / f"{sha256}.safetensors"
    if path.is_file() and file_sha256(path) == sha256:
        return path
    storage, key = open_uri(uri)
    try:
        storage.download(key, path)
    except ObjectNotFoundError as error:
        raise StepError(
            f"the model {uri} (sha256 {sha256[:16]}...) is no longer in the result bucket; put it back, "
            "or train and evaluate again"
        ) from error
    found = file_sha256(path)
    if found != sha256:
        path.unlink()
        raise ModelFileError(
            f"{uri}: the model file was replaced or damaged: its sha256 is {found}, expected {sha256}; "
            "restore the original file, or train and evaluate again"
        )
    return path


def infer_split(
    predictor: Predictor,
    truth: CocoDocument,
    root: Path,
    *,
    prediction: type[Prediction],
    kept: Path,
    max_pixels: int,
) -> list[Prediction]:
    """Predictions for every image of a split; kept predictions of a killed task are reused.

    Args:
        predictor: The model.
        truth: The split.
        root: The folder that its file names are relative to.
        prediction: The type of the predictions.
        kept: File to keep the predictions in.
        max_pixels: Images with more pixels are rejected.

    Raises:
        DataError: The model does not suit the split, or an image cannot be read or has another size than recorded in
            the split.
    """
    from sightline.tasks.batch_inference import predict_images

    if kept.is_file():
        try:
            return predictions_from_json(kept.read_text(encoding="utf-8"), prediction)
        except ValueError as error:
            otherwise = "remove the file to predict on the images again"
            remedy = error.remedy(otherwise) if isinstance(error, DocumentError) else otherwise
            raise StepError(f"cannot read the kept predictions {kept} ({error}); {remedy}") from error
    predictor = predictor.for_split(truth)
    found = predict_images(predictor, truth["images"], root, max_pixels=max_pixels, description="infer images")
    write_atomically(kept, predictions_to_json(found))
    return found


def predictions_to_json(predictions: Sequence[Prediction]) -> str:
    """Predictions as JSON text; :func:`predictions_from_json` restores them exactly."""
    return json.dumps(KEPT_PREDICTIONS.encode(KeptPredictions([found.to_json() for found in predictions])))


def predictions_from_json(text: str, prediction: type[Prediction]) -> list[Prediction]:
    """Restore the predictions from the output of :func:`predictions_to_json`.

    Raises:
        DocumentError: The text is not valid.
    """
    images = KEPT_PREDICTIONS.decode(text, max_bytes=sys.maxsize).images
    try:
        return [prediction.from_json(values) for values in images]
    except (LookupError, TypeError, ValueError, OverflowError) as error:
        raise DocumentError(f"invalid predictions: {type(error).__name__}: {error}") from error
