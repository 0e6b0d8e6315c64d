"""Champions changed by a person, and by runs at the same time; the evidence is that of evaluate."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from sightline.database import open_database
from sightline.evaluation.champion_by_hand import ByHand
from sightline.files import file_sha256
from sightline.registry import champion_changes, promotion
from sightline.registry.champion_entries import entry_numbers, read_entry
from sightline.registry.champions import BY_HAND, GATE, ROLLBACK, UNCOMPARED, ChampionName
from sightline.steps import evaluate, promote
from sightline.storage import open_storage

NAME = ChampionName("plates", "mask_AP")
SELECT = f"evaluate.select_by=[{NAME.metric}]"


@pytest.fixture
def here(site, oracle):
    site.settings.append(SELECT)
    return site


def run(site, model, run_id, monkeypatch):
    monkeypatch.setenv("SIGHTLINE_RUN_ID", run_id)
    return promote.run(site.config(), "code", site.trained(model))


def by_hand(site, work):
    with closing(open_database(site.config().database.url)) as database:
        storage = open_storage(site.config().storage.uri)
        return work(ByHand(storage, database, NAME, "me@here", "a test", site.folder / "fetched"))


def entries(site):
    storage = open_storage(site.config().storage.uri)
    return [read_entry(storage, NAME, number) for number in entry_numbers(storage, NAME)]


def test_a_run_leaves_its_evidence(here, monkeypatch):
    first = run(here, here.model(50), "run-a", monkeypatch)
    second = run(here, here.model(70), "run-b", monkeypatch)
    for entry, result, run_id in zip(entries(here), (first, second), ("run-a", "run-b"), strict=True):
        (selection,) = result.selections
        assert (entry.action, entry.actor, entry.run_id) == (GATE, run_id, run_id)
        assert (entry.reason, entry.evidence) == (selection.reason, result.files)
        assert (entry.value, entry.previous_value) == (selection.value, selection.previous_value)
        assert (Path(entry.evidence.removeprefix("file://")) / "summary.json").is_file()


def test_every_decision_of_a_run_is_in_the_database(here, monkeypatch):
    good, bad = here.model(70), here.model(50)
    results = [run(here, model, name, monkeypatch) for model, name in ((good, "a"), (bad, "b"))]
    monkeypatch.setenv("SIGHTLINE_RUN_ID", "c")
    promote.run(here.config(), "code", here.trained(good, bad))
    with closing(open_database(here.config().database.url)) as database:
        first, lost, same = [decision for name in "abc" for decision in database.decisions(name)]
    assert [one.outcome for one in (first, lost, same)] == ["promoted", "refused", "unchanged"]
    assert (first.champion_sha256, first.difference, first.champion_value) == ("", None, None)
    (selection,) = results[1].selections
    assert (lost.candidate_sha256, lost.champion_sha256) == (file_sha256(bad), file_sha256(good))
    assert (lost.value, lost.champion_value) == (selection.candidate_value, selection.value)
    assert lost.difference == pytest.approx(lost.value - lost.champion_value)
    assert lost.low <= lost.difference <= lost.high
    assert (lost.probability, lost.reason, lost.evidence) == (
        selection.gate.probability,
        selection.reason,
        results[1].files,
    )


def test_a_model_that_lost_is_promoted_with_the_values_of_its_evaluation(here, monkeypatch):
    run(here, here.model(70), "run-a", monkeypatch)
    monkeypatch.setenv("SIGHTLINE_RUN_ID", "run-b")
    lost = evaluate.run(here.config(), "code", here.trained(here.model(50)))
    measured = {model.sha256: model.metrics[NAME.metric] for model in lost.models}
    monkeypatch.delenv("SIGHTLINE_RUN_ID")

    outcome = by_hand(here, lambda one: one.promote(here.model(50)))

    entry = entries(here)[-1]
    assert outcome.pointer == entry
    assert (entry.action, entry.actor, entry.run_id, entry.evidence) == (BY_HAND, "me@here", "", lost.files)
    assert entry.value == measured[file_sha256(here.model(50))]
    assert entry.previous_value == measured[file_sha256(here.model(70))]
    back = by_hand(here, lambda one: one.roll_back(None)).pointer
    assert (back.action, back.evidence) == (ROLLBACK, lost.files)
    assert (back.value, back.previous_value) == (entry.previous_value, entry.value)


def test_a_model_that_was_measured_with_another_champion_is_uncompared(here, monkeypatch):
    run(here, here.model(30), "run-a", monkeypatch)
    monkeypatch.setenv("SIGHTLINE_RUN_ID", "run-b")
    alone = evaluate.run(here.config("evaluate.min_improvement=0.9"), "code", here.trained(here.model(50)))
    run(here, here.model(70), "run-c", monkeypatch)
    entry = by_hand(here, lambda one: one.promote(here.model(50))).pointer
    assert (entry.action, entry.previous_value, entry.evidence) == (UNCOMPARED, None, alone.files)
    assert entry.value == alone.selections[0].candidate_value


def test_the_next_run_is_compared_with_a_champion_promoted_by_hand(here, monkeypatch):
    run(here, here.model(70), "run-a", monkeypatch)
    by_hand(here, lambda one: one.promote(here.model(30)))
    (selection,) = run(here, here.model(50), "run-b", monkeypatch).selections
    assert (selection.promoted, selection.previous_sha256) == (True, file_sha256(here.model(30)))
    assert [entry.action for entry in entries(here)] == [GATE, UNCOMPARED, GATE]


@pytest.mark.parametrize("moment", ["settle", "write_entry", "write_champion"])
def test_a_person_rolls_back_while_a_run_promotes(here, monkeypatch, moment):
    """The run decides again, against the champion that the person chose."""
    for quality, run_id in ((50, "run-a"), (70, "run-b")):
        run(here, here.model(quality), run_id, monkeypatch)
    owner = promotion if moment == "settle" else champion_changes
    method = getattr(owner, moment)

    def overtaken(*arguments):
        monkeypatch.setattr(owner, moment, method)
        by_hand(here, lambda one: one.roll_back(1))
        return method(*arguments)

    monkeypatch.setenv("SIGHTLINE_RUN_ID", "run-c")
    decided = evaluate.run(here.config(), "code", here.trained(here.model(90)))
    assert decided.selections[0].previous_sha256 == file_sha256(here.model(70))
    monkeypatch.setattr(owner, moment, overtaken)
    (selection,) = run(here, here.model(90), "run-c", monkeypatch).selections

    found = entries(here)
    with closing(open_database(here.config().database.url)) as database:
        rows = [row.record for row in database.promotions("plates", NAME.metric)]
    assert [row.model_sha256 for row in rows] == [entry.sha256 for entry in found]
    assert [entry.previous_sha256 for entry in found][1:] == [entry.sha256 for entry in found][:-1]
    if moment == "write_champion":  # the entry of the run was there first: the person rolled back that promotion
        assert [entry.actor for entry in found][2:] == ["run-c", "me@here", "run-c"][: len(found) - 2]
    else:
        assert [entry.actor for entry in found][2:] == ["me@here", "run-c"]
        assert selection.previous_sha256 == file_sha256(here.model(50))
