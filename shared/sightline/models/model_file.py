"""The model file: weights, with everything needed to use them in the header.

A ``.safetensors`` file with one JSON document in its metadata, under ``sightline``.  The same training produces the
same bytes, because the file has no timestamp.  Reading a file never executes code from it.
"""

from __future__ import annotations

import json
import os
import reprlib
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

import torch
from pydantic import ConfigDict, SerializeAsAny, TypeAdapter, ValidationError, ValidationInfo, field_validator
from pydantic.dataclasses import dataclass
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import nn

from sightline import strict_json
from sightline.config.network import Network
from sightline.config.task_declarations import as_the_task_has_it, task_names
from sightline.documents import FIRST_FORMAT, DocumentError, DocumentKind
from sightline.errors import ModelFileError
from sightline.models.preprocessing import Preprocessing
from sightline.models.safetensors_file import read_metadata

METADATA_KEY = "sightline"

_LARGEST_ID = 2**63 - 1
_AGAIN = "fetch the file again, or train again"


@dataclass(frozen=True, config=ConfigDict(extra="ignore", allow_inf_nan=False))
class ModelCard:
    """The model card: the description of the weights in a model file.

    Attributes:
        task: Name of the task, such as ``instance_segmentation``.
        architecture: Settings that the network is built from.
        classes: Class names; label ``i + 1`` of the network is ``classes[i]``.
        category_ids: COCO category ids, in the same order.
        preprocessing: How an image becomes the input of the network.
        reading: The structured reading of the detections (``none``, a name such as ``plates``, or ``module:Class``).
        configuration: The parts of the configuration that determine the training.
        training_tag: The training set it was trained on.
        training_commit: The commit of that tag.
        dataset_digest: MD5 of the DVC directory of the training set.
        code_rev: Revision of the code that trained it.
        iteration: Number of iterations after which the weights were saved.
        metrics: Metrics on the val split, by name.
        weights: Where its initial weights came from; empty if they were random, or in files of earlier releases.
        weights_sha256: SHA-256 of the file with its initial weights.
        thresholds: Operating thresholds, chosen on the val split: the score from which on a class applies to an image,
            or detections of it count, by class; empty in files of earlier releases.
    """

    task: str
    architecture: SerializeAsAny[Network]
    classes: tuple[str, ...]
    category_ids: tuple[int, ...]
    preprocessing: Preprocessing
    reading: str
    configuration: dict[str, Any]
    training_tag: str
    training_commit: str
    dataset_digest: str
    code_rev: str
    iteration: int
    metrics: dict[str, float]
    weights: str = ""
    weights_sha256: str = ""
    thresholds: dict[str, float] = field(default_factory=dict)

    @field_validator("architecture", mode="plain")
    @classmethod
    def _decode_architecture(cls, given: object, info: ValidationInfo) -> Network:
        """Of a task unknown to this version, read only the settings common to all networks."""
        task = info.data.get("task", "")
        if task in task_names():
            return as_the_task_has_it(task, given)
        document = given.model_dump() if isinstance(given, Network) else given
        if not isinstance(document, dict):
            raise ValueError("a JSON object")
        return Network.model_validate({name: document[name] for name in Network.model_fields if name in document})


def _without_its_own_number(card: dict[str, Any]) -> dict[str, Any]:
    """In format 1 the format number was called ``format_version``."""
    number = card.pop("format_version", FIRST_FORMAT)
    if number != FIRST_FORMAT:
        raise DocumentError(f"format_version: {strict_json.shown(str(number))}; expected {FIRST_FORMAT}")
    return card


MODEL_CARD = DocumentKind("model card", ModelCard, upgrades=(_without_its_own_number,))
_CARD = TypeAdapter(ModelCard)


def card_document(card: ModelCard) -> dict[str, Any]:
    """A model card as JSON values."""
    return {"format": MODEL_CARD.format, **_CARD.dump_python(card, mode="json")}


def save_model(path: Path, network: nn.Module, card: ModelCard) -> None:
    """Write a model file atomically.

    Args:
        path: Path of the file; an existing file is replaced.
        network: Its ``state_dict`` is written; it may be on any device.
        card: Description of the network.

    Raises:
        ModelFileError: The file cannot be written.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    metadata = {METADATA_KEY: json.dumps(card_document(card), sort_keys=True)}
    write_tensors(path, tensors, metadata)


def write_tensors(path: Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str]) -> None:
    """Write a ``.safetensors`` file under a temporary name next to ``path``, sync it, and rename it.

    Raises:
        ModelFileError: The file cannot be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        save_file(dict(tensors), part, dict(metadata))
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(path)
    except (OSError, SafetensorError) as error:
        raise ModelFileError(
            f"{path}: cannot write the file ({error}); check that the folder exists, is writable and has enough space"
        ) from error
    finally:
        part.unlink(missing_ok=True)


def read_card(path: Path) -> ModelCard:
    """Read the card of a model file; only the header is read.

    Raises:
        ModelFileError: It is not a model file that this version of Sightline can read.
    """
    return card_of(read_metadata(path), path)


def card_of(metadata: Mapping[str, str], path: Path) -> ModelCard:
    """The card from the metadata in the header of a model file; see :func:`read_card`."""
    text = metadata.get(METADATA_KEY)
    if text is None:
        raise ModelFileError(
            f"{path}: this safetensors file has no model card of Sightline in its header; use backbone weights as "
            "model.weights, or use a model that was trained with Sightline"
        )
    try:
        card = _CARD.validate_python(MODEL_CARD.upgrade(strict_json.decode(text)))
    except DocumentError as error:
        raise ModelFileError(
            f"{path}: cannot read the model card in the header ({error}); {error.remedy(_AGAIN)}"
        ) from error
    except (ValueError, TypeError) as error:
        raise ModelFileError(
            f"{path}: the model card in the header is damaged ({shortened(error)}); {_AGAIN}"
        ) from error
    if fault := _fault_of(card):
        raise ModelFileError(f"{path}: the model card in the header has {fault}; {_AGAIN}")
    return card


def _fault_of(card: ModelCard) -> str:
    """What is wrong with the numbers of a card; empty: nothing."""
    ids = card.category_ids
    if len(card.classes) != len(ids) or not card.classes:
        return f"{len(card.classes)} classes, but {len(ids)} category ids"
    if len(set(ids)) < len(ids) or min(ids) < 1 or max(ids) > _LARGEST_ID:
        return f"the category ids {reprlib.repr(ids)}, expected different ids from 1 to {_LARGEST_ID}"
    wrong = {name: value for name, value in card.thresholds.items() if not 0 <= value <= 1}
    return f"the thresholds {reprlib.repr(wrong)}, expected 0 to 1" if wrong else ""


def shortened(error: Exception) -> str:
    """The message of an error on one line of at most 300 characters."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    text = " ".join(str(error).split())
    return text if len(text) <= 300 else f"{text[:300]} ..."
