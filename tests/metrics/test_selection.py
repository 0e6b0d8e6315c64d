"""Who wins, and why: the table of cases."""

from __future__ import annotations

import pytest

from sightline.errors import DataError
from sightline.metrics.selection import Champion, choose
from tests.golden import raises


@pytest.mark.parametrize(
    ("best", "last", "champion", "least", "winner", "promoted", "words"),
    [
        (0.5, 0.4, None, 0.0, "best", True, "best is the first champion: mask_AP 0.5"),
        (0.0, 0.0, None, 0.0, "best", True, "first champion"),  # the earlier of equal ones
        (0.4, 0.5, None, 0.0, "last", True, "last is the first champion"),
        (0.6, 0.4, 0.5, 0.0, "best", True, "best beats the champion of t_train_v1: mask_AP 0.6 against 0.5"),
        (0.4, 0.3, 0.5, 0.0, "best", False, "the champion of t_train_v1 stays: mask_AP 0.5 against 0.4 of best"),
        (0.5, 0.3, 0.5, 0.0, "best", False, "has 0.5 as well"),  # ties keep the champion
        (0.52, 0.3, 0.5, 0.05, "best", False, "best has 0.52, which is not better by more than 0.05"),
        (0.56, 0.3, 0.5, 0.05, "best", True, "beats"),
        (0.500000001, 0.3, 0.5, 0.0, "best", True, "0.500000001 against 0.5"),  # told apart
        (9.9e-2, 0.0, 1e-1, 0.0, "best", False, "0.1 against 0.099"),  # numbers, not their texts, are compared
    ],
)
def test_choose(best, last, champion, least, winner, promoted, words):
    rival = None if champion is None else Champion("t_train_v1", champion)

    choice = choose("mask_AP", {"best": {"mask_AP": best}, "last": {"mask_AP": last}}, rival, least)

    assert (choice.candidate, choice.value, choice.promoted) == (winner, max(best, last), promoted)
    assert words in choice.reason


LOST = Champion("t_train_v1", None, "the champion of t_train_v1 was made for the classes a, b, these are c, d")


def test_a_champion_that_cannot_be_measured_stays_unless_the_setting_says_otherwise():
    own = {"best": {"EIR": 0.25}}
    kept = choose("EIR", own, LOST)
    assert not kept.promoted
    assert kept.reason == (
        f"best is not promoted, for the champion cannot be measured: {LOST.obstacle}; EIR 0.25; "
        "evaluate.replace_unreadable=true replaces such a champion"
    )
    replaced = choose("EIR", own, LOST, replace_unmeasurable=True)
    assert replaced.promoted
    assert f"without a comparison, as evaluate.replace_unreadable says: {LOST.obstacle}" in replaced.reason
    low = choose("EIR", own, LOST, replace_unmeasurable=True, minimum=0.3)
    assert not low.promoted
    assert "EIR 0.25 of best, the best candidate, is below evaluate.minimum 0.3" in low.reason


@pytest.mark.parametrize(
    ("value", "minimum", "promoted"),
    [(0.05, 0.05, True), (0.0499999, 0.05, False), (0.0, 0.0, True), (1.0, 1.0, True), (0.0, 0.05, False)],
)
def test_a_first_champion_needs_the_minimum(value, minimum, promoted):
    choice = choose("EIR", {"best": {"EIR": value}}, None, minimum=minimum)
    assert choice.promoted == promoted
    assert ("is below evaluate.minimum" in choice.reason) != promoted


def test_the_minimum_does_not_protect_a_champion_that_is_measured():
    assert choose("EIR", {"best": {"EIR": 0.02}}, Champion("t_train_v1", 0.01), minimum=0.05).promoted


def test_values_on_shared_classes_decide():
    champion = Champion("t_train_v1", 0.6, rival_value=0.5, difference="added: c")
    choice = choose("EIR", {"best": {"EIR": 0.9}}, champion)
    assert (choice.promoted, choice.value) == (False, 0.9)
    assert choice.reason == (
        "the champion of t_train_v1 stays: EIR 0.6 against 0.5 of best, the best candidate; "
        "compared on the classes that both know (added: c)"
    )


def test_a_candidate_that_is_the_champion():
    own = {"best": {"EIR": 0.9}, "last": {"EIR": 0.8}}
    assert choose("EIR", own, Champion("t_train_v1", 0.9, candidate="best")).reason == (
        "best is the champion already: EIR 0.9"
    )
    assert choose("EIR", own, Champion("t_train_v1", 0.8, candidate="last")).promoted


def test_a_candidate_without_the_metric_is_passed_over():
    assert choose("EIR", {"best": {}, "last": {"EIR": 0.1}}, None).candidate == "last"
    with raises(DataError, "EIR"):
        choose("EIR", {"best": {}, "last": {"mask_AP": 0.3}}, None)
