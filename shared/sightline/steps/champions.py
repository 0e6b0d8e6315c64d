"""Champions: for each dataset and metric one pointer in the result bucket, moved by compare-and-swap."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass

from sightline import strict_json
from sightline.errors import ObjectNotFoundError, StepError
from sightline.storage import Storage


@dataclass(frozen=True, slots=True)
class ChampionPointer:
    """``champions/<dataset>/<metric>.json``: the model that is selected by one metric.

    Attributes:
        metric: The metric's name.
        sha256: Of the model file.
        uri: The model file in the result bucket.
        training_tag: What it was trained on.
        value: Its value when it was selected, 0 to 1.
        previous_sha256: The champion before; empty when there was none.
        previous_uri: Its model file; empty when there was none.
    """

    __pydantic_config__ = strict_json.CLOSED

    metric: str
    sha256: str
    uri: str
    training_tag: str
    value: float
    previous_sha256: str
    previous_uri: str


def pointer_key(dataset: str, metric: str) -> str:
    """Where the pointer lies in the bucket."""
    return f"champions/{dataset}/{metric}.json"


def read_champion(storage: Storage, dataset: str, metric: str) -> tuple[ChampionPointer | None, int]:
    """The present champion and the pointer's generation; None and 0 where there is none.

    Raises:
        StepError: The pointer cannot be read.
    """
    key = pointer_key(dataset, metric)
    try:
        data, info = storage.read_bytes(key)
    except ObjectNotFoundError:
        return None, 0
    try:
        pointer = strict_json.decode_as(ChampionPointer, data)
    except strict_json.JsonError as error:
        raise StepError(
            f"{storage.uri_of(key)} is not a champion pointer of this version of Sightline ({error}); "
            "remove it to begin without a champion"
        ) from error
    return pointer, info.generation


def write_champion(storage: Storage, dataset: str, pointer: ChampionPointer, generation: int) -> None:
    """Move the pointer.

    Args:
        storage: The result bucket.
        dataset: The dataset's name.
        pointer: The new champion.
        generation: What :func:`read_champion` gave: what the decision was made on.

    Raises:
        PreconditionFailedError: Another run has moved the pointer since.
    """
    data = json.dumps(dataclasses.asdict(pointer), indent=1, sort_keys=True).encode()
    storage.write_bytes(pointer_key(dataset, pointer.metric), data, if_generation=generation)
