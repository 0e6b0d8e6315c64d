"""The model file: weights, and in the header everything needed to use them.

A ``.safetensors`` file whose metadata holds one JSON document under ``sightline``.  The same training gives the same
bytes: there is no time in it.  Reading one never runs code from it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
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

_AGAIN = "fetch the file again, or train again"


@dataclass(frozen=True, config=ConfigDict(extra="ignore", allow_inf_nan=False))
class ModelCard:
    """What a model file says about its weights.

    Attributes:
        task: Such as ``instance_segmentation``.
        architecture: Builds the network.
        classes: Names; label ``i + 1`` of the network is ``classes[i]``.
        category_ids: COCO category ids, in the same order.
        preprocessing: From an image to the network's input.
        reading: The structured reading of the detections (``none`` or ``plates``).
        configuration: Everything that decided the training.
        training_tag: The data it was trained on.
        training_commit: What that tag named.
        dataset_digest: MD5 of the DVC directory of the training set.
        code_rev: The code that trained it.
        iteration: After how many iterations the weights were taken.
        metrics: On the val split, by name.
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

    @field_validator("architecture", mode="plain")
    @classmethod
    def _as_the_task_has_it(cls, given: object, info: ValidationInfo) -> Network:
        """Settings of a task that this version does not know are read as far as every network has them."""
        task = info.data.get("task", "")
        if task in task_names():
            return as_the_task_has_it(task, given)
        document = given.model_dump() if isinstance(given, Network) else given
        if not isinstance(document, dict):
            raise ValueError("a JSON object")
        return Network.model_validate({name: document[name] for name in Network.model_fields if name in document})


def _without_its_own_number(card: dict[str, Any]) -> dict[str, Any]:
    """Format 1 was called ``format_version``."""
    number = card.pop("format_version", FIRST_FORMAT)
    if number != FIRST_FORMAT:
        raise DocumentError(f"format_version: {strict_json.shown(str(number))}; expected {FIRST_FORMAT}")
    return card


MODEL_CARD = DocumentKind("model card", ModelCard, upgrades=(_without_its_own_number,))
_CARD = TypeAdapter(ModelCard)


def card_document(card: ModelCard) -> dict[str, Any]:
    """A card as JSON values."""
    return {"format": MODEL_CARD.format, **_CARD.dump_python(card, mode="json")}


def save_model(path: Path, network: nn.Module, card: ModelCard) -> None:
    """Write a model file; a reader sees the whole file or none.

    Args:
        path: Where; an older file is replaced.
        network: Its ``state_dict`` is written, from whatever device.
        card: What to say about it.

    Raises:
        ModelFileError: The disk does not take it.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    metadata = {METADATA_KEY: json.dumps(card_document(card), sort_keys=True)}
    write_tensors(path, tensors, metadata)


def write_tensors(path: Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str]) -> None:
    """Write a ``.safetensors`` file to a temporary name beside ``path``, sync it, and put it in its place.

    Raises:
        ModelFileError: The disk does not take it.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        save_file(dict(tensors), part, dict(metadata))
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(path)
    except (OSError, SafetensorError) as error:
        raise ModelFileError(
            f"{path}: cannot be written ({error}); see that the folder is there, may be written and has space left"
        ) from error
    finally:
        part.unlink(missing_ok=True)


def read_card(path: Path) -> ModelCard:
    """What a model file says about itself, read from its header alone.

    Raises:
        ModelFileError: It is not a model file of this version of Sightline.
    """
    return card_of(read_metadata(path), path)


def card_of(metadata: Mapping[str, str], path: Path) -> ModelCard:
    """What the texts in the header of a model file say about the model; see :func:`read_card`."""
    text = metadata.get(METADATA_KEY)
    if text is None:
        raise ModelFileError(
            f"{path}: safetensors, but without Sightline's description in the header; backbone weights go to "
            "model.weights, and a model to use comes from training with Sightline"
        )
    try:
        card = _CARD.validate_python(MODEL_CARD.upgrade(strict_json.decode(text)))
    except DocumentError as error:
        raise ModelFileError(
            f"{path}: the description in the header cannot be read ({error}); {error.remedy(_AGAIN)}"
        ) from error
    except (ValueError, TypeError) as error:
        raise ModelFileError(
            f"{path}: the description in the header is damaged ({shortened(error)}); {_AGAIN}"
        ) from error
    if len(card.classes) != len(card.category_ids) or not card.classes:
        raise ModelFileError(
            f"{path}: the description in the header has {len(card.classes)} classes, but "
            f"{len(card.category_ids)} category ids; {_AGAIN}"
        )
    return card


def shortened(error: Exception) -> str:
    """What an error says, on one line of 300 characters."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    text = " ".join(str(error).split())
    return text if len(text) <= 300 else f"{text[:300]} ..."
