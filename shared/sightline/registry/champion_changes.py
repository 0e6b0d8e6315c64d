"""Changes of a champion: one transaction over the history in the bucket, the pointer, and the database.

The entry is written first, the pointer second, the row last.  The number of an entry decides between two promotions at
the same time: the second one finds it taken.  If a process is killed in between, the next run or command settles what
it left, from the entry alone: the entry that follows the pointer is applied, and missing rows are added.

The pointer stays authoritative.  If it was edited by other means, that is added as an entry of its own; entries are
never changed or removed.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from sightline.database import Database, ModelRecord, PromotionRecord, PromotionRow
from sightline.errors import PreconditionFailedError, StepError
from sightline.registry.champion_entries import entry_numbers, read_entry, write_entry
from sightline.registry.champions import (
    RESET,
    ChampionName,
    ChampionPointer,
    ChampionState,
    look_up_champion,
    write_champion,
)
from sightline.storage import Storage

MAX_ATTEMPTS = 8

_log = logging.getLogger(__name__)
Rows = Mapping[int, PromotionRow]


@dataclass(frozen=True, slots=True)
class Settled:
    """A champion whose pointer, history and rows agree.

    Attributes:
        state: The pointer.
        number: Number of the last promotion; 0 if there was none.
    """

    state: ChampionState
    number: int


def settle(storage: Storage, database: Database | None, name: ChampionName) -> Settled:
    """Complete what killed processes left, and record changes that were made by other means.

    Args:
        storage: The result bucket.
        database: The database; None to leave it as it is.
        name: The champion.

    Raises:
        StorageError: The bucket cannot be read or written.
        DatabaseError: The database cannot be read or written.
        StepError: Other processes keep changing the champion.
    """
    for _ in range(MAX_ATTEMPTS):
        # In this order: what is read later is at least as new, so an entry or row is never ahead of its pointer.
        rows = {} if database is None else _rows(database, name)
        numbers = entry_numbers(storage, name)
        state = look_up_champion(storage, name.dataset, name.metric, name.task)
        try:
            if _apply_pending(storage, name, state, numbers, rows) or _adopt(storage, name, state, numbers, rows):
                continue
            numbers = _copy_rows(storage, name, numbers, rows)
        except PreconditionFailedError:
            continue
        if database is not None:
            _copy_entries(storage, database, name, [number for number in numbers if number not in rows])
        return Settled(state, max([*numbers, *rows], default=0))
    raise StepError(
        f"the champion of {name} changed {MAX_ATTEMPTS} times while it was recorded; try again when the other runs and "
        "commands are done"
    )


def change(storage: Storage, database: Database, name: ChampionName, pointer: ChampionPointer, before: Settled) -> None:
    """Make a model the champion: the entry, the pointer, the row.

    Args:
        storage: The result bucket.
        database: The database.
        name: The champion.
        pointer: The new champion; its number and time are set here.
        before: What :func:`settle` returned, on which the decision is based.

    Raises:
        PreconditionFailedError: Another run or command came first; nothing has changed.
        StorageError: The bucket failed in between; the next run or command completes or ignores the change.
        DatabaseError: The champion has changed, but not the database; the next run or command adds the row.
    """
    entry = replace(
        pointer,
        sequence=before.number + 1,
        promoted_at=datetime.now(UTC).isoformat(timespec="microseconds"),
        replaces_generation=before.state.generation,
    )
    write_entry(storage, name, entry)
    try:
        write_champion(storage, name.dataset, entry, before.state.generation)
    except PreconditionFailedError:
        # Another process may have found the entry, applied it, and made the next change.
        present = look_up_champion(storage, name.dataset, name.metric, name.task).pointer
        if present is None or present.sequence <= entry.sequence:
            raise
    _record(database, name, entry)


def _rows(database: Database, name: ChampionName) -> dict[int, PromotionRow]:
    rows = database.promotions(name.dataset, name.metric, name.task)
    return {row.record.sequence: row for row in rows}


def _apply_pending(
    storage: Storage, name: ChampionName, state: ChampionState, numbers: list[int], rows: Rows
) -> bool:
    """Move the pointer to the last entry if the process that wrote it did not; returns whether it did.

    The pointer must still have the generation that the entry replaces.  A missing pointer has generation 0 both before
    the first promotion and after it was removed by hand; then a row says that the entry was applied.
    """
    if not numbers or numbers[-1] in rows:
        return False
    entry = _entry(storage, name, numbers[-1])
    if entry is None or entry.replaces_generation != state.generation:
        return False
    write_champion(storage, name.dataset, entry, state.generation)
    _log.info("completed promotion %d of %s, which was interrupted", entry.sequence, name)
    return True


def _adopt(storage: Storage, name: ChampionName, state: ChampionState, numbers: list[int], rows: Rows) -> bool:
    """Add an entry for a pointer that is not the last promotion; returns whether it did.

    It was written by an earlier release, which knew no entries, or by other means.
    """
    pointer, last = state.pointer, max([*numbers, *rows], default=0)
    if pointer is None or _is_last(storage, name, pointer, last, numbers, rows):
        return False
    row = rows.get(last)
    if row is not None and last not in numbers and row.record.model_sha256 == pointer.sha256 and pointer.sequence < last:
        write_entry(storage, name, _entry_of(row, rows))  # an earlier release recorded an edited pointer in the database
    elif pointer.sequence > last or (pointer.sequence == last and row is not None and last not in numbers):
        time = row.promoted_at if row is not None and pointer.sequence == last else _written(storage, name)
        write_entry(storage, name, replace(pointer, promoted_at=pointer.promoted_at or _text(time)))
    else:
        head = _entry_of(row, rows) if row is not None else _entry(storage, name, last) if last else None
        entry = _edited(pointer, head) if last else pointer
        entry = replace(
            entry,
            sequence=last + 1,
            promoted_at=_text(_written(storage, name)),
            replaces_generation=state.generation,
        )
        write_entry(storage, name, entry)
        write_champion(storage, name.dataset, entry, state.generation)
        _log.warning("the champion pointer of %s was edited; recorded as promotion %d", name, entry.sequence)
    return True


def _edited(pointer: ChampionPointer, head: ChampionPointer | None) -> ChampionPointer:
    """A pointer that was edited after the last promotion, as the next promotion."""
    return replace(
        pointer,
        previous_sha256="" if head is None else head.sha256,
        previous_uri="" if head is None else head.uri,
        previous_value=None,
        run_id="",
        action=RESET,
        actor="",
        reason="",
        evidence="",
    )


def _is_last(
    storage: Storage, name: ChampionName, pointer: ChampionPointer, last: int, numbers: list[int], rows: Rows
) -> bool:
    """Whether the last promotion, in both stores, is that of the pointer's model."""
    if last not in numbers or pointer.sequence > last:
        return False
    entry = _entry(storage, name, last)
    known = [] if entry is None else [entry.sha256]
    known += [rows[last].record.model_sha256] if last in rows else []
    return all(sha256 == pointer.sha256 for sha256 in known) and (bool(known) or pointer.sequence == last)


def _written(storage: Storage, name: ChampionName) -> datetime | None:
    """When the pointer was written, by the clock of the bucket."""
    info = storage.stat(name.key)
    return None if info is None else info.updated


def _copy_rows(storage: Storage, name: ChampionName, numbers: list[int], rows: Rows) -> list[int]:
    """Add entries for the promotions that only the database has, made before entries existed; returns all numbers.

    The database must be that of this bucket: where the two meet, they must tell the same.
    """
    missing = [number for number in rows if number not in numbers]
    if not missing or not _belong_together(storage, name, numbers, rows):
        return numbers
    for number in missing:
        write_entry(storage, name, _entry_of(rows[number], rows))
    return sorted([*numbers, *missing])


def _belong_together(storage: Storage, name: ChampionName, numbers: list[int], rows: Rows) -> bool:
    common = [number for number in numbers if number in rows]
    if common:
        entry = _entry(storage, name, common[-1])
        return entry is not None and entry.sha256 == rows[common[-1]].record.model_sha256
    if not numbers or max(rows) != numbers[0] - 1:
        return False
    entry = _entry(storage, name, numbers[0])
    return entry is not None and entry.previous_sha256 == rows[max(rows)].record.model_sha256


def _copy_entries(storage: Storage, database: Database, name: ChampionName, numbers: Iterable[int]) -> None:
    for number in numbers:
        entry = _entry(storage, name, number)
        if entry is not None:
            _record(database, name, entry)


def _entry(storage: Storage, name: ChampionName, number: int) -> ChampionPointer | None:
    """An entry; None, with a warning, if it cannot be read: the others still count."""
    try:
        return read_entry(storage, name, number)
    except StepError as error:
        _log.warning("%s", error)
        return None


def _entry_of(row: PromotionRow, rows: Rows) -> ChampionPointer:
    """The entry of a promotion that only the database has."""
    record = row.record
    models = {other.record.model_sha256: other.model.uri for other in rows.values()}
    return ChampionPointer(
        metric=record.metric,
        sha256=record.model_sha256,
        uri=row.model.uri,
        training_tag=row.model.training_tag,
        value=record.value,
        previous_sha256=record.previous_sha256 or "",
        previous_uri=models.get(record.previous_sha256 or "", ""),
        task=record.task,
        sequence=record.sequence,
        run_id=record.run_id,
        previous_value=record.previous_value,
        action=record.action,
        actor=record.actor,
        reason=record.reason,
        evidence=record.evidence,
        promoted_at=_text(row.promoted_at),
    )


def _record(database: Database, name: ChampionName, entry: ChampionPointer) -> None:
    """Write an entry as a promotion, unless its number exists."""
    database.register_model(ModelRecord(entry.sha256, entry.uri, entry.task, entry.training_tag, None, ""))
    if entry.previous_sha256:
        database.register_model(ModelRecord(entry.previous_sha256, entry.previous_uri, entry.task, "", None, ""))
    promotion = PromotionRecord(
        dataset=name.dataset,
        metric=entry.metric,
        model_sha256=entry.sha256,
        previous_sha256=entry.previous_sha256 or None,
        value=entry.value,
        previous_value=entry.previous_value,
        run_id=entry.run_id,
        task=entry.task,
        sequence=entry.sequence,
        action=entry.action,
        actor=entry.actor,
        reason=entry.reason,
        evidence=entry.evidence,
    )
    database.record_promotion(promotion, _time(entry.promoted_at))


def _text(time: datetime | None) -> str:
    return "" if time is None else time.isoformat(timespec="microseconds")


def _time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text).astimezone(UTC) if text else None
    except ValueError:
        return None
