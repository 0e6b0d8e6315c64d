"""A bucket and a database whose champions are changed by hand, with tiny models, and what both must say afterwards."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import torch

from sightline.database import open_database
from sightline.evaluation.champion_by_hand import ByHand
from sightline.models.model_file import save_model
from sightline.registry.champion_changes import settle
from sightline.registry.champion_entries import entry_numbers, read_entry
from sightline.registry.champions import ChampionName, ChampionPointer, read_champion
from sightline.storage import open_storage
from sightline.tasks.instance_segmentation.network import build_detector
from tests.squares import TINY_MODEL, make_card

NAME = ChampionName("plates", "mask_AP")


def save_models(folder: Path, number: int) -> list[Path]:
    """Model files that differ in their weights."""
    card = make_card(training_tag="plates_train_v1", metrics={"mask_AP": 0.25})
    for seed in range(number):
        torch.manual_seed(seed)
        save_model(folder / f"{seed}.safetensors", build_detector(TINY_MODEL, 2), card)
    return [folder / f"{seed}.safetensors" for seed in range(number)]


def pointer_to(sha256: str, **changes) -> ChampionPointer:
    """A pointer to a model that no test reads."""
    values = {
        "metric": NAME.metric,
        "sha256": sha256 * 64,
        "uri": f"file:///{sha256}",
        "training_tag": "plates_train_v1",
    }
    return ChampionPointer(**values | {"value": 0.5, "previous_sha256": "", "previous_uri": ""} | changes)


@dataclass(frozen=True)
class ChampionPlace:
    """A bucket, a database, and a folder for downloaded models."""

    bucket: str
    url: str
    folder: Path

    @property
    def storage(self):
        return open_storage(self.bucket)

    def database(self):
        return closing(open_database(self.url))

    def by_hand(self, database, actor="me@here", reason="a test"):
        return ByHand(self.storage, database, NAME, actor, reason, self.folder)

    def settle(self):
        with self.database() as database:
            return settle(self.storage, database, NAME)

    def entries(self) -> list[ChampionPointer]:
        storage = self.storage
        return [read_entry(storage, NAME, number) for number in entry_numbers(storage, NAME)]

    def rows(self):
        with self.database() as database:
            return database.promotions(NAME.dataset, NAME.metric, NAME.task)

    def pointer(self) -> ChampionPointer | None:
        return read_champion(self.storage, NAME.dataset, NAME.metric, NAME.task)[0]

    def require_agreement(self) -> list[ChampionPointer]:
        """Pointer, history and rows tell the same, without gaps; returns the history."""
        entries, rows, pointer = self.entries(), self.rows(), self.pointer()
        assert [entry.sequence for entry in entries] == list(range(1, len(entries) + 1))
        assert [told(entry) for entry in entries] == [told_by_row(row) for row in rows]
        before = ["", *(entry.sha256 for entry in entries)]
        assert [entry.previous_sha256 for entry in entries] == before[: len(entries)]
        assert pointer == (entries[-1] if entries else None)
        return entries


def told(entry: ChampionPointer) -> tuple:
    """What an entry says, in the words of a row."""
    return (
        (entry.sequence, entry.sha256, entry.previous_sha256 or None, entry.value, entry.previous_value, entry.run_id),
        (entry.action, entry.actor, entry.reason, entry.evidence),
        datetime.fromisoformat(entry.promoted_at),
    )


def told_by_row(row) -> tuple:
    """What a row says."""
    record = row.record
    return (
        (
            record.sequence,
            record.model_sha256,
            record.previous_sha256,
            record.value,
            record.previous_value,
            record.run_id,
        ),
        (record.action, record.actor, record.reason, record.evidence),
        row.promoted_at,
    )
