"""Pointer, history and rows of a champion agree, whoever changed what, and wherever a process was killed."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace

import pytest

from sightline.database import ModelRecord, PromotionRecord, open_database
from sightline.errors import PreconditionFailedError, StepError, StorageError
from sightline.registry import champion_changes
from sightline.registry.champion_changes import change, settle
from sightline.registry.champion_entries import entry_key, entry_numbers, read_entry, write_entry
from sightline.registry.champion_history import read_history
from sightline.registry.champions import GATE, RESET, look_up_champion, write_champion
from sightline.storage.local import LocalStorage
from tests.champion_places import NAME, ChampionPlace, pointer_to

A, B, C, D = (letter * 64 for letter in "abcd")


@pytest.fixture
def place(tmp_path):
    return ChampionPlace(str(tmp_path / "bucket"), f"sqlite:///{tmp_path}/x.sqlite", tmp_path / "models")


def promote(place, letter, **fields):
    """A promotion without a kill."""
    with place.database() as database:
        before = settle(place.storage, database, NAME)
        pointer = pointer_to(letter, previous_sha256=before.state.sha256, action=GATE, actor=f"run-{letter}", **fields)
        return change(place.storage, database, NAME, pointer, before)


def edit(place, pointer):
    """Write a pointer by other means than Sightline."""
    state = look_up_champion(place.storage, NAME.dataset, NAME.metric)
    write_champion(place.storage, NAME.dataset, pointer, state.generation)


def write_ahead(place, letter):
    """The entry of a process that is killed before it moves the pointer."""
    state = look_up_champion(place.storage, NAME.dataset, NAME.metric)
    number = max(entry_numbers(place.storage, NAME), default=0) + 1
    entry = pointer_to(
        letter,
        previous_sha256=state.sha256,
        sequence=number,
        promoted_at="2026-11-29T12:00:00.000000+00:00",
        replaces_generation=state.generation,
    )
    write_entry(place.storage, NAME, entry)


def models_of(entries):
    return "".join(entry.sha256[0] for entry in entries)


@pytest.mark.parametrize("before", ["", "a", "ab"])
def test_an_entry_that_follows_the_pointer_is_applied(place, before):
    for letter in before:
        promote(place, letter)
    write_ahead(place, "c")
    assert place.settle().number == len(before) + 1
    assert models_of(place.require_agreement()) == f"{before}c"


def test_a_pointer_that_was_removed_is_not_restored(place):
    """Neither after the first promotion, when it had the generation 0 before, too."""
    for letter in "ab":
        promote(place, letter)
        place.storage.delete(NAME.key)
        assert place.settle().state.pointer is None
        assert place.pointer() is None
    promote(place, "c")
    entries = place.entries()
    assert [(entry.sha256[0], entry.previous_sha256) for entry in entries] == [("a", ""), ("b", ""), ("c", "")]
    assert len(place.rows()) == 3


def test_an_edited_pointer_becomes_an_entry(place):
    first = promote(place, "a")
    promote(place, "b")
    edit(place, first)
    place.settle()
    edited = place.entries()[-1]
    assert (edited.sequence, edited.action, edited.actor, edited.previous_sha256) == (3, RESET, "", B)
    assert place.pointer() == first  # as it was put there
    assert place.settle().number == 3
    assert [row.record.model_sha256 for row in place.rows()] == [A, B, A]
    promote(place, "c")
    assert models_of(place.entries()) == "abac"
    assert place.pointer().sequence == 4


@pytest.mark.parametrize("sequence", [10**30, -1])
def test_a_pointer_with_a_number_that_no_promotion_can_have_changes_nothing(place, sequence):
    """Else its entry would make every later command fail."""
    promote(place, "a")
    edit(place, pointer_to("b", previous_sha256=A, sequence=sequence))
    assert str(sequence) in place.settle().state.fault
    assert models_of(place.entries()) == "a"
    place.storage.delete(NAME.key)
    promote(place, "c")
    assert models_of(place.entries()) == "ac"
    assert [row.record.model_sha256 for row in place.rows()] == [A, C]


@pytest.mark.parametrize("sequence", [3, 0], ids=["with its number", "of before numbers"])
@pytest.mark.parametrize("rows", [3, 2], ids=["all rows", "killed before its row"])
def test_the_history_of_earlier_releases_is_taken_over(place, sequence, rows):
    with place.database() as database:
        for number, letter in enumerate("abc"[:rows], 1):
            sha256, previous = letter * 64, "".join(chr(ord(letter) - 1) * 64 if number > 1 else "")
            database.register_model(
                ModelRecord(sha256, f"file:///{letter}", NAME.task, "plates_train_v1", None, "code")
            )
            database.record_promotion(
                PromotionRecord(NAME.dataset, NAME.metric, sha256, previous or None, 0.5, None, f"run-{letter}")
            )
    edit(place, pointer_to("c", previous_sha256=B, previous_uri="file:///b", sequence=sequence, run_id="run-c"))
    place.settle()
    entries = place.entries()
    assert models_of(entries) == "abc"
    assert [entry.uri for entry in entries] == ["file:///a", "file:///b", "file:///c"]
    assert [(entry.action, entry.actor) for entry in entries] in (
        [("", "")] * 3,
        [("", "")] * 2 + [(RESET, "")],  # a pointer without a number that has no row
    )
    assert [row.record.model_sha256 for row in place.rows()] == [A, B, C]
    promote(place, "d")
    assert models_of(place.entries()) == "abcd"


def test_a_promotion_by_an_earlier_release_in_between(place):
    promote(place, "a")
    edit(place, pointer_to("b", previous_sha256=A, sequence=2, run_id="run-b"))
    promote(place, "c")
    entries = place.entries()
    assert [(entry.sha256[0], entry.run_id, bool(entry.promoted_at)) for entry in entries] == [
        ("a", "", True),
        ("b", "run-b", True),
        ("c", "", True),
    ]
    assert [row.record.run_id for row in place.rows()] == ["", "run-b", ""]


def test_a_database_that_was_lost_is_rebuilt(place, tmp_path):
    for letter in "abca":
        promote(place, letter)
    before = place.rows()
    (tmp_path / "x.sqlite").unlink()
    place.settle()
    assert place.rows() == before
    place.require_agreement()


def test_a_bucket_that_was_lost_is_filled_from_the_database(place):
    for letter in "abc":
        promote(place, letter)
    for number in (1, 2):
        place.storage.delete(entry_key(NAME, number))
    place.settle()
    assert models_of(place.require_agreement()) == "abc"


def test_the_database_of_another_bucket_does_not_get_into_the_history(place, tmp_path):
    other = replace(place, bucket=str(tmp_path / "other"))
    for letter in "abcd":
        promote(other, letter)
    mine = replace(place, url=f"sqlite:///{tmp_path}/mine.sqlite")
    for letter in "ef":
        promote(mine, letter)
    place.settle()  # the bucket of mine with the database of the other
    assert [(entry.sequence, entry.sha256[0]) for entry in place.entries()] == [(1, "e"), (2, "f"), (5, "f")]
    assert place.rows()[-1].record.model_sha256 == place.pointer().sha256 == "f" * 64


@pytest.mark.parametrize("damaged", [1, 2, 3])
def test_an_entry_that_is_damaged_does_not_block(place, damaged, caplog):
    for letter in "abc":
        promote(place, letter)
    place.storage.write_bytes(entry_key(NAME, damaged), b"{")
    promote(place, "d")
    assert [row.record.model_sha256 for row in place.rows()] == [A, B, C, D]
    with place.database() as database:
        found = read_history(place.storage, database, NAME)
    assert [entry.sha256[0] for entry in found.promotions] == list("dcba")
    assert entry_key(NAME, damaged) in found.notes[0]


def test_without_the_database(place):
    promote(place, "a")
    write_ahead(place, "b")
    settle(place.storage, None, NAME)
    assert place.pointer().sha256 == B
    assert len(place.rows()) == 1
    place.settle()
    place.require_agreement()


def test_the_second_of_two_finds_the_number_taken(place):
    promote(place, "a")
    with place.database() as database:
        before = settle(place.storage, database, NAME)
        promote(place, "b")
        with pytest.raises(PreconditionFailedError):
            change(place.storage, database, NAME, pointer_to("c", previous_sha256=A), before)
    assert models_of(place.require_agreement()) == "ab"


def test_an_entry_that_another_process_applied_and_replaced(place, monkeypatch):
    """Between the entry and the pointer of one process, another applies the entry and promotes its own model."""
    promote(place, "a")
    write = champion_changes.write_champion

    def overtaken(*arguments):
        monkeypatch.setattr(champion_changes, "write_champion", write)
        promote(place, "c")
        write(*arguments)

    monkeypatch.setattr(champion_changes, "write_champion", overtaken)
    assert promote(place, "b").sequence == 2
    assert models_of(place.require_agreement()) == "abc"


def test_a_pointer_that_is_edited_in_the_middle_of_a_promotion(place, monkeypatch):
    first = promote(place, "a")
    promote(place, "b")
    write = champion_changes.write_champion

    def edited(*arguments):
        edit(place, first)
        write(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(champion_changes, "write_champion", edited)
        with pytest.raises(PreconditionFailedError):
            promote(place, "c")
    place.settle()
    assert place.pointer() == first
    assert [(entry.sha256[0], entry.action) for entry in place.entries()][2:] == [("c", GATE), ("a", RESET)]
    assert place.rows()[-1].record.model_sha256 == A
    promote(place, "d")
    assert models_of(place.entries()) == "abcad"


@pytest.mark.parametrize("moment", ["entry_numbers", "look_up_champion"])
def test_promotions_while_it_looks_are_not_taken_for_edits(place, monkeypatch, moment):
    promote(place, "a")
    read = getattr(champion_changes, moment)

    def overtaken(*arguments):
        monkeypatch.setattr(champion_changes, moment, read)
        for letter in "bc":
            promote(place, letter)
        return read(*arguments)

    monkeypatch.setattr(champion_changes, moment, overtaken)
    assert place.settle().number == 3
    assert models_of(place.require_agreement()) == "abc"


def refuse(*arguments, **options):
    raise StorageError("read only")


def test_a_history_that_may_not_be_written_is_shown(place, monkeypatch):
    for letter in "ab":
        promote(place, letter)
    for number in (1, 2):
        place.storage.delete(entry_key(NAME, number))
    monkeypatch.setattr(LocalStorage, "write_bytes", refuse)
    with place.database() as database:
        found = read_history(place.storage, database, NAME)
    assert [entry.sha256[0] for entry in found.promotions] == ["b", "a"]
    assert found.champion.sha256 == B
    assert "read only" in found.notes[0]


def test_an_entry_that_was_not_applied_is_not_shown(place, monkeypatch):
    promote(place, "a")
    write_ahead(place, "b")
    monkeypatch.setattr(LocalStorage, "write_bytes", refuse)
    with place.database() as database:
        found = read_history(place.storage, database, NAME)
    assert [entry.sha256[0] for entry in found.promotions] == ["a"]


def test_the_place_of_an_entry_is_part_of_its_contract(place):
    promote(place, "a")
    assert NAME.key == "champions/plates/mask_AP.json"
    document = json.loads(place.storage.read_bytes("champions/plates/mask_AP/history/000001.json")[0])
    assert document == json.loads(place.storage.read_bytes(NAME.key)[0])
    with pytest.raises(StepError):
        read_entry(place.storage, replace(NAME, metric="EIR"), 1)


def test_a_promotion_of_earlier_releases_has_no_actor(place):
    with closing(open_database(place.url)) as database:
        database.register_model(ModelRecord(A, "file:///a", NAME.task, "plates_train_v1", None, ""))
        database.record_promotion(PromotionRecord(NAME.dataset, NAME.metric, A, None, 0.5, None, "run-a"))
        (row,) = database.promotions(NAME.dataset, NAME.metric)
    assert (row.record.action, row.record.actor, row.record.reason, row.record.evidence) == ("", "", "", "")
