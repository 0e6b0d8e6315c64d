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
        seen = _look(storage, database, name)
        try:
            if seen.apply_pending() or seen.adopt():
                continue
            numbers = seen.copy_rows()
        except PreconditionFailedError:
            continue
        if database is not None:
            _copy_entries(storage, database, name, [number for number in numbers if number not in seen.rows])
        return Settled(seen.state, seen.last)
    raise StepError(
        f"the champion of {name} changed {MAX_ATTEMPTS} times while it was recorded; try again when the other runs and "
        "commands are done"
    )


def change(
    storage: Storage, database: Database, name: ChampionName, pointer: ChampionPointer, before: Settled
) -> ChampionPointer:
    """Make a model the champion: the entry, the pointer, the row.

    Args:
        storage: The result bucket.
        database: The database.
        name: The champion.
        pointer: The new champion; its number and time are set here.
        before: What :func:`settle` returned, on which the decision is based.

    Returns:
        The new champion, with its number and time.

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
    return entry


@dataclass(frozen=True, slots=True)
class _Seen:
    """What both stores say of a champion.

    Attributes:
        storage: The result bucket.
        name: The champion.
        rows: The promotions in the database, by number.
        numbers: The numbers of the entries, ascending.
        state: The pointer.
    """

    storage: Storage
    name: ChampionName
    rows: Mapping[int, PromotionRow]
    numbers: list[int]
    state: ChampionState

    @property
    def last(self) -> int:
        """The last number in either store; 0 if there is none."""
        return max([*self.numbers, *self.rows], default=0)

    def apply_pending(self) -> bool:
        """Move the pointer to the last entry if the process that wrote it did not; returns whether it did.

        The pointer must still have the generation that the entry replaces.  A missing pointer has generation 0 both
        before the first promotion and after it was removed by hand; then a row says that the entry was applied.
        """
        if not self.numbers or self.numbers[-1] in self.rows:
            return False
        entry = self._entry(self.numbers[-1])
        if entry is None or entry.replaces_generation != self.state.generation:
            return False
        write_champion(self.storage, self.name.dataset, entry, self.state.generation)
        _log.info("completed promotion %d of %s, which was interrupted", entry.sequence, self.name)
        return True

    def adopt(self) -> bool:
        """Add an entry for a pointer that is not the last promotion; returns whether it did.

        It was written by an earlier release, which knew no entries, or by other means.  The pointer is left as it is.
        """
        pointer, last, row = self.state.pointer, self.last, self.rows.get(self.last)
        if pointer is None or self._is_last(pointer):
            return False
        only_row = row is not None and last not in self.numbers
        if row is not None and only_row and row.record.model_sha256 == pointer.sha256 and pointer.sequence < last:
            entry = entry_of_row(row, self.rows)  # an earlier release recorded an edited pointer in the database
        elif pointer.sequence > last or (only_row and pointer.sequence == last):
            time = row.promoted_at if row is not None and pointer.sequence == last else self._written()
            entry = replace(pointer, promoted_at=pointer.promoted_at or _text(time))
        else:
            head = entry_of_row(row, self.rows) if row is not None else self._entry(last) if last else None
            entry = _edited(pointer, head) if last else pointer
            entry = replace(entry, sequence=last + 1, promoted_at=_text(self._written()), replaces_generation=-1)
            if last:
                _log.warning("the champion pointer of %s was edited; recorded as promotion %d", self.name, last + 1)
        write_entry(self.storage, self.name, entry)
        return True

    def copy_rows(self) -> list[int]:
        """Add entries for promotions that only the database has, made before entries existed; returns all numbers.

        The database must be that of this bucket: where the two meet, they must tell the same.
        """
        missing = [number for number in self.rows if number not in self.numbers]
        if not missing or not self._belong_together():
            return self.numbers
        for number in missing:
            write_entry(self.storage, self.name, entry_of_row(self.rows[number], self.rows))
        return sorted([*self.numbers, *missing])

    def _is_last(self, pointer: ChampionPointer) -> bool:
        """Whether the last promotion, in both stores, is that of the pointer's model."""
        if self.last not in self.numbers or pointer.sequence > self.last:
            return False
        entry, row = self._entry(self.last), self.rows.get(self.last)
        known = [] if entry is None else [entry.sha256]
        known += [] if row is None else [row.record.model_sha256]
        return all(sha256 == pointer.sha256 for sha256 in known) and (bool(known) or pointer.sequence == self.last)

    def _belong_together(self) -> bool:
        common = [number for number in self.numbers if number in self.rows]
        if common:
            entry = self._entry(common[-1])
            return entry is not None and entry.sha256 == self.rows[common[-1]].record.model_sha256
        if not self.numbers or max(self.rows) != self.numbers[0] - 1:
            return False
        entry = self._entry(self.numbers[0])
        return entry is not None and entry.previous_sha256 == self.rows[max(self.rows)].record.model_sha256

    def _written(self) -> datetime | None:
        """When the pointer was written, by the clock of the bucket."""
        info = self.storage.stat(self.name.key)
        return None if info is None else info.updated

    def _entry(self, number: int) -> ChampionPointer | None:
        return _entry(self.storage, self.name, number)


def _look(storage: Storage, database: Database | None, name: ChampionName) -> _Seen:
    """Read rows, entries and pointer, in this order.

    What is read later is at least as new, so no row or entry is ahead of the pointer unless the pointer was edited or a
    process was killed.
    """
    rows = [] if database is None else database.promotions(name.dataset, name.metric, name.task)
    numbers = entry_numbers(storage, name)
    state = look_up_champion(storage, name.dataset, name.metric, name.task)
    return _Seen(storage, name, {row.record.sequence: row for row in rows}, numbers, state)


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


def entry_of_row(row: PromotionRow, rows: Mapping[int, PromotionRow]) -> ChampionPointer:
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
