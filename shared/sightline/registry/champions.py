"""Champions: for each dataset, task and metric one pointer in the result bucket, moved by compare-and-swap."""

from __future__ import annotations

import json
from dataclasses import dataclass

from sightline.documents import DocumentError, DocumentKind
from sightline.errors import DamagedObjectError, ObjectNotFoundError, StepError
from sightline.storage import Storage

DEFAULT_TASK = "instance_segmentation"
"""The task of pointers that were written before pointers named one."""

_REMOVE = "remove it to start without a champion"


@dataclass(frozen=True, slots=True)
class ChampionPointer:
    """The model that is selected by one metric.

    Attributes:
        metric: The metric's name.
        sha256: Of the model file.
        uri: The model file in the result bucket.
        training_tag: What it was trained on.
        value: Its value when it was selected, 0 to 1.
        previous_sha256: The champion before; empty when there was none, or when its pointer could not be read.
        previous_uri: Its model file; empty when there was none.
        task: What the model does.
        sequence: Counts the promotions of this dataset, task and metric from 1; 0 in pointers of earlier releases.
        run_id: The run that promoted it; empty outside of runs.
        previous_value: The value of the champion before on the same images and classes; None where it was not measured.
    """

    metric: str
    sha256: str
    uri: str
    training_tag: str
    value: float
    previous_sha256: str
    previous_uri: str
    task: str = DEFAULT_TASK
    sequence: int = 0
    run_id: str = ""
    previous_value: float | None = None


CHAMPION = DocumentKind("champion pointer", ChampionPointer)


@dataclass(frozen=True, slots=True)
class ChampionState:
    """The contents of a champion pointer, or why it cannot be read.

    Attributes:
        pointer: The champion; None where there is none, or where the pointer cannot be read.
        generation: Of the pointer; 0 where there is none.
        fault: Why the pointer cannot be read; empty where it can, or where there is none.
        remedy: What to do about the fault.
    """

    pointer: ChampionPointer | None
    generation: int
    fault: str = ""
    remedy: str = ""

    @property
    def sha256(self) -> str:
        """The champion's SHA-256; empty where none is known."""
        return "" if self.pointer is None else self.pointer.sha256


def pointer_key(dataset: str, metric: str, task: str = DEFAULT_TASK) -> str:
    """The key of the pointer in the bucket.

    Champions of :data:`DEFAULT_TASK` have the key that all champions had before pointers named a task.
    """
    return f"champions/{dataset}/{metric}.json" if task == DEFAULT_TASK else f"champions/{dataset}/{task}/{metric}.json"


def look_up_champion(storage: Storage, dataset: str, metric: str, task: str = DEFAULT_TASK) -> ChampionState:
    """The present champion, or why its pointer cannot be read.

    Raises:
        StorageError: The bucket cannot be read.  A damaged pointer is no such error.
    """
    key = pointer_key(dataset, metric, task)
    where = storage.uri_of(key)
    try:
        data, info = storage.read_bytes(key)
    except ObjectNotFoundError:
        return ChampionState(None, 0)
    except DamagedObjectError as error:
        info_of_damaged = storage.stat(key)
        generation = 0 if info_of_damaged is None else info_of_damaged.generation
        return ChampionState(None, generation, f"{where} is damaged ({error})", _REMOVE)
    try:
        pointer = CHAMPION.decode(data)
        if (pointer.metric, pointer.task) != (metric, task):
            raise DocumentError(f"it is for {pointer.metric} of task {pointer.task}")
    except DocumentError as error:
        fault = f"{where} is not a champion pointer of this version of Sightline ({error})"
        return ChampionState(None, info.generation, fault, error.remedy(_REMOVE))
    return ChampionState(pointer, info.generation)


def read_champion(
    storage: Storage, dataset: str, metric: str, task: str = DEFAULT_TASK
) -> tuple[ChampionPointer | None, int]:
    """The present champion and the pointer's generation; None and 0 where there is none.

    Raises:
        StepError: The pointer cannot be read.
    """
    state = look_up_champion(storage, dataset, metric, task)
    if state.fault:
        raise StepError(f"{state.fault}; {state.remedy}")
    return state.pointer, state.generation


def write_champion(storage: Storage, dataset: str, pointer: ChampionPointer, generation: int) -> None:
    """Move the pointer.

    Args:
        storage: The result bucket.
        dataset: The dataset's name.
        pointer: The new champion.
        generation: What :func:`look_up_champion` gave: what the decision was made on.

    Raises:
        PreconditionFailedError: Another run has moved the pointer since.
    """
    data = json.dumps(CHAMPION.encode(pointer), indent=1, sort_keys=True).encode()
    storage.write_bytes(pointer_key(dataset, pointer.metric, pointer.task), data, if_generation=generation)
