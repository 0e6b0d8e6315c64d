"""The history of a champion for users, from the bucket; missing parts from the database."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sightline.database import Database
from sightline.errors import DatabaseError, StepError, StorageError
from sightline.registry.champion_changes import entry_of_row, settle
from sightline.registry.champion_entries import entry_numbers, read_entry
from sightline.registry.champions import ChampionName, ChampionPointer, ChampionState, look_up_champion
from sightline.storage import Storage

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ChampionHistory:
    """A champion and its promotions.

    Attributes:
        name: What it is the champion of.
        champion: The last promotion; None if there is no champion, or if its pointer cannot be read.
        promotions: All promotions, the newest first.
        notes: What could not be read or recorded, and what to do.
    """

    name: ChampionName
    champion: ChampionPointer | None
    promotions: list[ChampionPointer]
    notes: list[str] = field(default_factory=list)

    def document(self, *, history: bool) -> Document:
        """As JSON values; without the promotions unless ``history`` is set."""
        rest = {"promotions": [_document(entry) for entry in self.promotions]} if history else {}
        return {
            "dataset": self.name.dataset,
            "metric": self.name.metric,
            "task": self.name.task,
            "champion": None if self.champion is None else _document(self.champion),
            "notes": self.notes,
            **rest,
        }


def read_history(storage: Storage, database: Database | None, name: ChampionName) -> ChampionHistory:
    """Read the history of a champion, after bucket and database were brought up to each other.

    Args:
        storage: The result bucket.
        database: The database; None if it cannot be reached.
        name: The champion.

    Raises:
        StorageError: The bucket cannot be read.
    """
    notes: list[str] = []
    try:
        settle(storage, database, name)
    except (StorageError, DatabaseError, StepError) as error:  # for example without permission to write
        notes.append(f"bucket and database could not be brought up to each other: {error}")
    numbers = entry_numbers(storage, name)
    state = look_up_champion(storage, name.dataset, name.metric, name.task)
    entries = _entries(storage, name, numbers, notes)
    if notes:
        _complete(entries, database, name, notes)
    if state.fault:
        notes.append(f"{state.fault}; {state.remedy}")
    promotions = [
        entries[number] for number in sorted(entries, reverse=True) if not _is_pending(entries[number], state)
    ]
    champion = state.pointer
    if champion is not None and promotions and promotions[0].sha256 == champion.sha256:
        champion = promotions[0]
    return ChampionHistory(name, champion, promotions or ([champion] if champion is not None else []), notes)


def _entries(storage: Storage, name: ChampionName, numbers: list[int], notes: list[str]) -> dict[int, ChampionPointer]:
    entries = {}
    for number in numbers:
        try:
            entries[number] = read_entry(storage, name, number)
        except StepError as error:
            notes.append(str(error))
    return entries


def _complete(
    entries: dict[int, ChampionPointer], database: Database | None, name: ChampionName, notes: list[str]
) -> None:
    """Add what the bucket lacks from the database."""
    if database is None:
        return
    try:
        rows = {row.record.sequence: row for row in database.promotions(name.dataset, name.metric, name.task)}
    except DatabaseError as error:
        notes.append(str(error))
        return
    for number, row in rows.items():
        if number not in entries:
            entries[number] = entry_of_row(row, rows)


def _is_pending(entry: ChampionPointer, state: ChampionState) -> bool:
    """Whether an entry was written, but its promotion not carried out."""
    sequence = 0 if state.pointer is None else state.pointer.sequence
    return entry.sequence > sequence and entry.replaces_generation == state.generation > 0


def _document(entry: ChampionPointer) -> Document:
    return {
        "sequence": entry.sequence,
        "action": entry.action,
        "actor": entry.actor,
        "run_id": entry.run_id,
        "promoted": entry.promoted_at or None,
        "model": entry.sha256,
        "uri": entry.uri,
        "training_tag": entry.training_tag,
        "value": entry.value,
        "previous_model": entry.previous_sha256 or None,
        "previous_uri": entry.previous_uri or None,
        "previous_value": entry.previous_value,
        "evidence": entry.evidence or None,
        "reason": entry.reason,
    }
