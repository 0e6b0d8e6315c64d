"""Champions: one pointer per dataset, task and metric in the result bucket, updated by compare-and-swap.

Every change of a pointer is first written as an entry of its history (:mod:`sightline.registry.champion_entries`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from sightline.documents import DocumentError, DocumentKind
from sightline.errors import DamagedObjectError, ObjectNotFoundError, StepError
from sightline.storage import Storage

DEFAULT_TASK = "instance_segmentation"
"""The task of pointers written before pointers contained a task."""

GATE = "gate"
"""Action of a run: the decision of evaluate."""

BY_HAND = "by hand"
"""Action of a user, for a model that was measured on the same images as the champion before."""

UNCOMPARED = "by hand, uncompared"
"""Action of a user, for a model that was not."""

ROLLBACK = "rollback"
"""Action of a user: an earlier champion becomes champion again."""

RESET = "pointer edited"
"""A pointer that was changed by other means than Sightline; it was found by a later run or command."""

MAX_REASON = 4_000
"""Longest reason that is recorded, characters."""

MAX_SEQUENCE = 999_999_999
"""Highest number of a promotion: databases have no larger integers."""

_REMOVE = "remove it to start without a champion"


@dataclass(frozen=True, slots=True)
class ChampionPointer:
    """The champion by one metric.

    Attributes:
        metric: The metric's name.
        sha256: SHA-256 of the model file.
        uri: The model file in the result bucket.
        training_tag: The training tag it was trained on.
        value: Its value when it was selected, 0 to 1; None if it was promoted by hand and never measured.
        previous_sha256: The champion before; empty if there was none, or if its pointer could not be read.
        previous_uri: Its model file; empty if there was none.
        task: The task of the model.
        sequence: Number of the promotion for this dataset, task and metric, from 1; 0 in pointers of earlier releases.
        run_id: The run that promoted it; empty outside of runs.
        previous_value: Value of the champion before on the same images and classes; None if it was not measured.
        action: :data:`GATE`, :data:`BY_HAND`, :data:`UNCOMPARED`, :data:`ROLLBACK` or :data:`RESET`; empty if an
            earlier release promoted it.
        actor: The run, or ``user@host``; empty if unknown.
        reason: Why it was promoted.
        evidence: URI of the evaluation with the compared values; empty if there is none.
        promoted_at: Time of the promotion, UTC, ISO 8601; empty if unknown.
        replaces_generation: Generation of the pointer that it replaced, 0 if there was none; -1 if unknown.
    """

    metric: str
    sha256: str
    uri: str
    training_tag: str
    value: float | None
    previous_sha256: str
    previous_uri: str
    task: str = DEFAULT_TASK
    sequence: int = 0
    run_id: str = ""
    previous_value: float | None = None
    action: str = ""
    actor: str = ""
    reason: str = ""
    evidence: str = ""
    promoted_at: str = ""
    replaces_generation: int = -1


CHAMPION = DocumentKind("champion pointer", ChampionPointer)


@dataclass(frozen=True, slots=True)
class ChampionName:
    """What a champion is the champion of.

    Attributes:
        dataset: The dataset's name.
        metric: The metric's name.
        task: The task of the models.
    """

    dataset: str
    metric: str
    task: str = DEFAULT_TASK

    def __str__(self) -> str:
        task = "" if self.task == DEFAULT_TASK else f" ({self.task})"
        return f"{self.dataset} by {self.metric}{task}"

    @property
    def key(self) -> str:
        """The key of its pointer."""
        return pointer_key(self.dataset, self.metric, self.task)


@dataclass(frozen=True, slots=True)
class ChampionState:
    """The contents of a champion pointer, or why it cannot be read.

    Attributes:
        pointer: The champion; None if there is none, or if the pointer cannot be read.
        generation: Generation of the pointer; 0 if there is none.
        fault: Why the pointer cannot be read; empty if it can be read, or if there is none.
        remedy: How to fix it.
    """

    pointer: ChampionPointer | None
    generation: int
    fault: str = ""
    remedy: str = ""

    @property
    def sha256(self) -> str:
        """The champion's SHA-256; empty if it is unknown."""
        return "" if self.pointer is None else self.pointer.sha256


def pointer_key(dataset: str, metric: str, task: str = DEFAULT_TASK) -> str:
    """The key of the pointer in the bucket.

    Champions of :data:`DEFAULT_TASK` have the key that all champions had before pointers contained a task.
    """
    return f"champions/{dataset}/{metric}.json" if task == DEFAULT_TASK else f"champions/{dataset}/{task}/{metric}.json"


def look_up_champion(storage: Storage, dataset: str, metric: str, task: str = DEFAULT_TASK) -> ChampionState:
    """The current champion, or why its pointer cannot be read.

    Raises:
        StorageError: The bucket cannot be read.  A damaged pointer does not raise this error.
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
        if not 0 <= pointer.sequence <= MAX_SEQUENCE:
            raise DocumentError(f"sequence is {pointer.sequence}, expected 0 to {MAX_SEQUENCE}")
    except DocumentError as error:
        fault = f"{where} is not a champion pointer of this version of Sightline ({error})"
        return ChampionState(None, info.generation, fault, error.remedy(_REMOVE))
    return ChampionState(pointer, info.generation)


def read_champion(
    storage: Storage, dataset: str, metric: str, task: str = DEFAULT_TASK
) -> tuple[ChampionPointer | None, int]:
    """The current champion and the pointer's generation; None and 0 if there is none.

    Raises:
        StepError: The pointer cannot be read.
    """
    state = look_up_champion(storage, dataset, metric, task)
    if state.fault:
        raise StepError(f"{state.fault}; {state.remedy}")
    return state.pointer, state.generation


def write_champion(storage: Storage, dataset: str, pointer: ChampionPointer, generation: int) -> None:
    """Replace the pointer.

    Args:
        storage: The result bucket.
        dataset: The dataset's name.
        pointer: The new champion.
        generation: The generation from :func:`look_up_champion` on which the decision was based.

    Raises:
        PreconditionFailedError: Another run has changed the pointer in the meantime.
    """
    key = pointer_key(dataset, pointer.metric, pointer.task)
    storage.write_bytes(key, champion_bytes(pointer), if_generation=generation)


def champion_bytes(pointer: ChampionPointer) -> bytes:
    """A pointer as it is stored; equal pointers have equal bytes."""
    return json.dumps(CHAMPION.encode(pointer), indent=1, sort_keys=True).encode()
