"""The history of a champion in the result bucket: one entry per promotion, ``champions/<name>/history/000012.json``.

An entry is the pointer with its number, written before the pointer and only if the number is free: two promotions never
have the same number, and an entry never changes.
"""

from __future__ import annotations

import re

from sightline.documents import DocumentError
from sightline.errors import DamagedObjectError, ObjectNotFoundError, StepError
from sightline.registry.champions import CHAMPION, ChampionName, ChampionPointer, champion_bytes
from sightline.storage import Storage

_NUMBER = re.compile(r"([0-9]{6,9})\.json")  # up to MAX_SEQUENCE


def history_folder(name: ChampionName) -> str:
    """The folder of a champion's entries in the bucket."""
    return f"{name.key.removesuffix('.json')}/history"


def entry_key(name: ChampionName, number: int) -> str:
    """The key of an entry in the bucket."""
    return f"{history_folder(name)}/{number:06d}.json"


def entry_numbers(storage: Storage, name: ChampionName) -> list[int]:
    """The numbers of all entries, ascending.

    Raises:
        StorageError: The bucket cannot be read.
    """
    folder = f"{history_folder(name)}/"
    matches = (_NUMBER.fullmatch(key.removeprefix(folder)) for key in storage.names(folder))
    return sorted(int(match[1]) for match in matches if match)


def read_entry(storage: Storage, name: ChampionName, number: int) -> ChampionPointer:
    """One entry.

    Raises:
        StepError: It is missing or damaged, or was written by a later release.
        StorageError: The bucket cannot be read.
    """
    key = entry_key(name, number)
    otherwise = "restore it from a backup of the bucket"
    try:
        entry = CHAMPION.decode(storage.read_bytes(key)[0])
        if (entry.metric, entry.task, entry.sequence) != (name.metric, name.task, number):
            raise DocumentError(f"it is number {entry.sequence} by {entry.metric} of task {entry.task}")
    except (ObjectNotFoundError, DamagedObjectError) as error:
        raise StepError(f"{storage.uri_of(key)} cannot be read ({error}); {otherwise}") from error
    except DocumentError as error:
        raise StepError(
            f"{storage.uri_of(key)} is not an entry of the history of {name} ({error}); {error.remedy(otherwise)}"
        ) from error
    return entry


def write_entry(storage: Storage, name: ChampionName, entry: ChampionPointer) -> None:
    """Add an entry.

    Raises:
        PreconditionFailedError: Its number is taken by another entry.
    """
    storage.write_bytes(entry_key(name, entry.sequence), champion_bytes(entry), if_generation=0)
