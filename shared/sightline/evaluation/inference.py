"""A model file on the images of a split: fetched and verified, run image by image, its detections kept."""

from __future__ import annotations

import json
import sys
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from sightline.config.schema import Config
from sightline.data.detections import Detections
from sightline.data.formats.coco import CocoDocument, read_coco
from sightline.data.repository.checkout import Checkout, checked_out
from sightline.data.tags import DatasetTag
from sightline.data.workspace import Workspace
from sightline.documents import DocumentError, DocumentKind
from sightline.errors import ModelFileError, ObjectNotFoundError, StepError
from sightline.files import file_sha256, write_atomically
from sightline.logs import Progress
from sightline.storage import open_uri

if TYPE_CHECKING:
    from sightline.tasks.base import Predictor


@dataclass(frozen=True, slots=True)
class KeptPredictions:
    """What a model found in the images of a split, kept on the work volume for a task that is killed.

    Attributes:
        images: One object for each image, with the fields of :class:`Detections`.
    """

    images: list[dict[str, Any]]


def _from_list(images: list[Any]) -> dict[str, Any]:
    if not isinstance(images, list):
        raise TypeError("it is not a list")
    return {"images": images}


KEPT_PREDICTIONS = DocumentKind("kept predictions", KeptPredictions, upgrades=(_from_list,))


def training_set_on_disk(config: Config, tag: str, expected_commit: str = "") -> AbstractContextManager[Checkout]:
    """The training set on the work volume; see :func:`sightline.data.repository.checkout.checked_out`."""
    return checked_out(Workspace.of(config), tag, expected_commit=expected_commit)


def read_split(training_set: Checkout, split: Literal["val", "test"]) -> CocoDocument:
    """One split of a training set that is checked out; see :func:`sightline.data.formats.coco.read_coco`."""
    return read_coco(training_set.path / DatasetTag.parse(training_set.tag).folder / f"{split}.json")


def class_names(truth: CocoDocument) -> list[str]:
    """The names of the classes, in the order of their ids."""
    return [category["name"] for category in sorted(truth["categories"], key=lambda category: category["id"])]


def fetch_model(uri: str, sha256: str, folder: Path) -> Path:
    """A model file from the result bucket; one that was fetched before is taken as it is.

    Args:
        uri: Where it lies.
        sha256: What it must hash to, hexadecimal.
        folder: Where to put it, under its hash.

    Raises:
        StepError: It is not there any more.
        ModelFileError: It is another file than the one that was meant.
    """
    path = folder / f"{sha256}.safetensors"
    if path.is_file() and file_sha256(path) == sha256:
        return path
    storage, key = open_uri(uri)
    try:
        storage.download(key, path)
    except ObjectNotFoundError as error:
        raise StepError(
            f"the model {uri} (sha256 {sha256[:16]}...) is not in the result bucket any more; put it back, "
            "or train and evaluate again"
        ) from error
    found = file_sha256(path)
    if found != sha256:
        path.unlink()
        raise ModelFileError(
            f"{uri} is not the model that was meant: its sha256 is {found}, expected {sha256}; "
            "somebody replaced the file: put the right one back, or train and evaluate again"
        )
    return path


def infer_split(
    predictor: Predictor, truth: CocoDocument, root: Path, *, kept: Path, max_pixels: int
) -> list[Detections]:
    """Detections in every image of a split; those that a killed run has left are taken as they are.

    Args:
        predictor: The model.
        truth: The split.
        root: What its file names are relative to.
        kept: File that the detections are kept in.
        max_pixels: Images with more pixels are refused.

    Raises:
        DataError: An image cannot be read, or is not as large as the split says.
    """
    from sightline.data.loading.dataset import read_listed_image

    if kept.is_file():
        try:
            return detections_from_json(kept.read_text(encoding="utf-8"))
        except ValueError as error:
            otherwise = "remove the file to infer the images again"
            remedy = error.remedy(otherwise) if isinstance(error, DocumentError) else otherwise
            raise StepError(f"the kept predictions {kept} cannot be read ({error}); {remedy}") from error
    found = []
    with Progress("infer images", total=len(truth["images"]), unit="images") as progress:
        for listed in progress.track(truth["images"]):
            image = read_listed_image(root, listed, max_pixels)
            found.append(predictor.predict(image, listed["id"]))
    write_atomically(kept, detections_to_json(found))
    return found


def detections_to_json(detections: list[Detections]) -> str:
    """Detections as JSON text that :func:`detections_from_json` gives back bit by bit."""
    documents: list[dict[str, Any]] = [
        {
            "image_id": found.image_id,
            "boxes_xyxy": found.boxes_xyxy.tolist(),
            "scores": found.scores.tolist(),
            "category_ids": found.category_ids.tolist(),
            "masks": found.masks,
        }
        for found in detections
    ]
    return json.dumps(KEPT_PREDICTIONS.encode(KeptPredictions(documents)))


def detections_from_json(text: str) -> list[Detections]:
    """The detections that :func:`detections_to_json` wrote.

    Raises:
        DocumentError: The text is something else.
    """
    try:
        return _detections(KEPT_PREDICTIONS.decode(text, max_bytes=sys.maxsize))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        if isinstance(error, DocumentError):
            raise
        raise DocumentError(f"its detections cannot be read: {type(error).__name__}: {error}") from error


def _detections(kept: KeptPredictions) -> list[Detections]:
    return [
        Detections(
            image_id=document["image_id"],
            boxes_xyxy=np.array(document["boxes_xyxy"], np.float32).reshape(-1, 4),
            scores=np.array(document["scores"], np.float32),
            category_ids=np.array(document["category_ids"], np.int64),
            masks=document.get("masks"),
        )
        for document in kept.images
    ]
