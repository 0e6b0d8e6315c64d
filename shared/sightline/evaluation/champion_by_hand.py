"""Changing a champion by hand: promote a given model, or roll back to an earlier champion."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sightline.data.tags import DatasetTag
from sightline.database import Database, ModelRecord
from sightline.errors import ConfigurationError, ModelFileError, SightlineError, StepError
from sightline.evaluation.inference import fetch_model
from sightline.evaluation.shared_classes import listed
from sightline.files import file_sha256
from sightline.registry.champion_changes import Settled, change, settle
from sightline.registry.champion_entries import entry_numbers, read_entry
from sightline.registry.champions import BY_HAND, ROLLBACK, UNCOMPARED, ChampionName, ChampionPointer
from sightline.registry.comparisons import find_comparison
from sightline.registry.selected_models import keep_model
from sightline.storage import Storage

if TYPE_CHECKING:
    from sightline.models.model_file import ModelCard


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a change by hand did.

    Attributes:
        pointer: The champion now.
        before: The champion before; None if there was none.
        changed: Whether the champion was changed.
        note: Why not, as a sentence; empty if it was.
    """

    pointer: ChampionPointer
    before: ChampionPointer | None
    changed: bool
    note: str = ""


@dataclass(frozen=True, slots=True)
class ByHand:
    """A person who changes a champion.

    Attributes:
        storage: The result bucket.
        database: The database.
        name: The champion.
        actor: The person, ``user@host``.
        reason: Why the champion is changed.
        folder: Folder for downloaded models.
    """

    storage: Storage
    database: Database
    name: ChampionName
    actor: str
    reason: str
    folder: Path

    def promote(self, model: Path) -> Outcome:
        """Make a model the champion, compared or not.

        Args:
            model: The model file.

        Raises:
            ModelFileError: It is damaged, or has another task, dataset or other classes than the champion.
            StepError: The present pointer cannot be read.
            PreconditionFailedError: Another run or command changed the champion at the same time.
        """
        settled = self._settled()
        before, sha256 = settled.state.pointer, file_sha256(model)
        if before is not None and before.sha256 == sha256:
            return Outcome(before, before, changed=False, note=f"{sha256[:12]} is the champion of {self.name} already")
        card = self._checked(model, before)
        found = find_comparison(self.storage, self.name.dataset, self.name.metric, sha256, settled.state.sha256)
        action = UNCOMPARED if found is None else BY_HAND
        if found is None and before is not None:
            found = find_comparison(self.storage, self.name.dataset, self.name.metric, sha256, "")
        own = card.metrics.get(self.name.metric)
        return self._change(
            settled,
            ChampionPointer(
                metric=self.name.metric,
                sha256=sha256,
                uri=keep_model(self.storage, card.training_tag, self.name.metric, sha256, model),
                training_tag=card.training_tag,
                value=found.value if found is not None else own if own is not None and math.isfinite(own) else None,
                previous_sha256="",
                previous_uri="",
                previous_value=None if found is None else found.champion_value,
                action=action,
                evidence="" if found is None else found.evidence,
            ),
            card.code_rev,
        )

    def roll_back(self, number: int | None) -> Outcome:
        """Make an earlier champion the champion again.

        Args:
            number: The promotion whose model becomes champion; None: the champion before the present one.

        Raises:
            StepError: There is no such promotion, its model no longer exists, or the present pointer cannot be read.
            ModelFileError: Its model is damaged, or has other classes than the champion.
            PreconditionFailedError: Another run or command changed the champion at the same time.
        """
        settled = self._settled()
        before = settled.state.pointer
        if number is None and before is not None and self._is_repeated(before):
            note = (
                f"{self.name} was rolled back by you for this reason already (number {before.sequence}); to roll back "
                "further, give --to N or another reason"
            )
            return Outcome(before, before, changed=False, note=note)
        target = self._target(settled, number)
        if before is not None and before.sha256 == target.sha256:
            note = f"{target.sha256[:12]} is the champion of {self.name} already"
            return Outcome(before, before, changed=False, note=note)
        model = fetch_model(target.uri, target.sha256, self.folder)
        card = self._checked(model, before)
        found = find_comparison(self.storage, self.name.dataset, self.name.metric, target.sha256, settled.state.sha256)
        return self._change(
            settled,
            ChampionPointer(
                metric=self.name.metric,
                sha256=target.sha256,
                uri=keep_model(self.storage, card.training_tag, self.name.metric, target.sha256, model),
                training_tag=card.training_tag,
                value=target.value if found is None else found.value,
                previous_sha256="",
                previous_uri="",
                previous_value=None if found is None else found.champion_value,
                action=ROLLBACK,
                evidence=target.evidence if found is None else found.evidence,
            ),
            card.code_rev,
        )

    def _settled(self) -> Settled:
        settled = settle(self.storage, self.database, self.name)
        if settled.state.fault:
            raise StepError(f"{settled.state.fault}; {settled.state.remedy}")
        return settled

    def _is_repeated(self, before: ChampionPointer) -> bool:
        """Whether the last change is this one: the command was killed after it, and is repeated."""
        return (before.action, before.actor, before.reason) == (ROLLBACK, self.actor, self.reason)

    def _target(self, settled: Settled, number: int | None) -> ChampionPointer:
        """The promotion to return to."""
        before = settled.state.pointer
        if number is not None:
            if not 1 <= number <= settled.number:
                there = f"it has the numbers 1 to {settled.number}" if settled.number else "it has none yet"
                raise StepError(f"{self.name} has no promotion number {number}; {there}")
            return read_entry(self.storage, self.name, number)
        if before is None and settled.number:  # the pointer was removed
            return read_entry(self.storage, self.name, settled.number)
        if before is None or not before.previous_sha256:
            raise StepError(f"{self.name} has no earlier champion to roll back to; see `sightline champion history`")
        for earlier in reversed([one for one in entry_numbers(self.storage, self.name) if one < settled.number]):
            entry = read_entry(self.storage, self.name, earlier)
            if entry.sha256 == before.previous_sha256:
                return entry
        return ChampionPointer(
            metric=self.name.metric,
            sha256=before.previous_sha256,
            uri=before.previous_uri,
            training_tag="",
            value=before.previous_value,
            previous_sha256="",
            previous_uri="",
        )

    def _checked(self, model: Path, before: ChampionPointer | None) -> ModelCard:
        """The card of a model that can be the champion: it loads, and has the task, dataset and classes."""
        from sightline.models.model_file import read_card
        from sightline.tasks.base import load_predictor

        card = read_card(model)
        faults = []
        if card.task != self.name.task:
            faults.append(f"it was trained for the task {card.task}, not {self.name.task}")
        if _dataset_of(card.training_tag) != self.name.dataset:
            faults.append(f"it was trained on {card.training_tag or 'an unknown tag'}, not on {self.name.dataset}")
        expected, whose = self._expected_classes(before)
        if expected and set(card.classes) != set(expected):
            faults.append(f"it has the classes {listed(card.classes)}; expected those of {whose}: {listed(expected)}")
        if faults:
            raise ModelFileError(
                f"{model.name} cannot be the champion of {self.name}: {'; '.join(faults)}. Nothing was changed; choose "
                "another model (sightline champion history, sightline runs list)"
            )
        load_predictor(model, "cpu")
        return card

    def _expected_classes(self, before: ChampionPointer | None) -> tuple[list[str], str]:
        """The classes of the champion, or, if it cannot be read, of the newest training set; empty if unknown."""
        from sightline.models.model_file import read_card

        if before is not None:
            try:
                return list(read_card(fetch_model(before.uri, before.sha256, self.folder)).classes), "the champion"
            except SightlineError:  # a champion that is damaged or gone must be replaceable
                pass
        tags = [row.record.tag for row in self.database.versions(self.name.dataset) if row.record.kind == "training"]
        counts = self.database.category_counts(tags[-1]) if tags else []
        return list(dict.fromkeys(count.category for count in counts)), tags[-1] if tags else ""

    def _change(self, settled: Settled, pointer: ChampionPointer, code_rev: str) -> Outcome:
        before = settled.state.pointer
        self.database.register_model(
            ModelRecord(pointer.sha256, pointer.uri, self.name.task, pointer.training_tag, None, code_rev)
        )
        entry = replace(
            pointer,
            previous_sha256="" if before is None else before.sha256,
            previous_uri="" if before is None else before.uri,
            task=self.name.task,
            actor=self.actor,
            reason=self.reason,
        )
        changed = change(self.storage, self.database, self.name, entry, settled)
        return Outcome(changed, before, changed=True)


def _dataset_of(training_tag: str) -> str:
    try:
        return DatasetTag.parse(training_tag).dataset
    except ConfigurationError:
        return ""
