"""Decisions and their reasons: the table of cases."""

from __future__ import annotations

import re

import pytest

from sightline.errors import DataError
from sightline.metrics.selection import Champion, best_candidate, choose
from tests.golden import compare, raises


@pytest.mark.parametrize(
    ("best", "last", "champion", "least", "winner", "promoted", "numbers"),
    [
        (0.5, 0.4, None, 0.0, "best", True, ("0.5",)),
        (0.0, 0.0, None, 0.0, "best", True, ("0",)),  # the first of equal ones
        (0.4, 0.5, None, 0.0, "last", True, ("0.5",)),
        (0.6, 0.4, 0.5, 0.0, "best", True, ("0.6", "0.5")),
        (0.4, 0.3, 0.5, 0.0, "best", False, ("0.5", "0.4")),
        (0.5, 0.3, 0.5, 0.0, "best", False, ("0.5",)),  # ties keep the champion
        (0.52, 0.3, 0.5, 0.05, "best", False, ("0.5", "0.52", "0.05")),
        (0.56, 0.3, 0.5, 0.05, "best", True, ("0.56", "0.5")),
        (0.500000001, 0.3, 0.5, 0.0, "best", True, ("0.500000001", "0.5")),  # with enough digits
        (9.9e-2, 0.0, 1e-1, 0.0, "best", False, ("0.1", "0.099")),  # numbers, not their texts, are compared
    ],
)
def test_choose(best, last, champion, least, winner, promoted, numbers):
    rival = None if champion is None else Champion("t_train_v1", champion)

    name = best_candidate("mask_AP", {"best": {"mask_AP": best}, "last": {"mask_AP": last}})
    choice = choose("mask_AP", name, max(best, last), rival, least)

    assert (name, choice.promoted) == (winner, promoted)
    assert {"mask_AP", *numbers} <= set(re.split(r"[ ,:;()]+", choice.reason))
    assert (champion is not None) == ("t_train_v1" in choice.reason)
    compare(choice.reason)


LOST = Champion("t_train_v1", None, "the champion of t_train_v1 was trained for the task keypoints, not presence")


def test_a_champion_that_cannot_be_measured_stays_unless_the_setting_says_otherwise():
    own = "best", 0.25
    kept = choose("EIR", *own, LOST)
    assert not kept.promoted
    assert LOST.obstacle in kept.reason
    compare(kept.reason)
    replaced = choose("EIR", *own, LOST, replace_unmeasurable=True)
    assert replaced.promoted
    assert LOST.obstacle in replaced.reason
    compare(replaced.reason)
    low = choose("EIR", *own, LOST, replace_unmeasurable=True, minimum=0.3)
    assert not low.promoted
    assert all(token in low.reason for token in ("EIR 0.25", "evaluate.minimum 0.3"))
    compare(low.reason)


@pytest.mark.parametrize(
    ("value", "minimum", "promoted"),
    [(0.05, 0.05, True), (0.0499999, 0.05, False), (0.0, 0.0, True), (1.0, 1.0, True), (0.0, 0.05, False)],
)
def test_a_first_champion_needs_the_minimum(value, minimum, promoted):
    choice = choose("EIR", "best", value, None, minimum=minimum)
    assert choice.promoted == promoted
    assert ("evaluate.minimum" in choice.reason) != promoted


def test_the_minimum_does_not_protect_a_champion_that_is_measured():
    assert choose("EIR", "best", 0.02, Champion("t_train_v1", 0.01), minimum=0.05).promoted


def test_values_on_shared_classes_decide():
    champion = Champion("t_train_v1", 0.6, rival_value=0.5, difference="added: c")
    choice = choose("EIR", "best", 0.9, champion)
    assert not choice.promoted
    assert all(token in choice.reason for token in ("EIR 0.6", "0.5", "added: c"))
    compare(choice.reason)


def test_a_candidate_that_is_the_champion():
    own = "best", 0.9
    same = choose("EIR", *own, Champion("t_train_v1", 0.9, candidate="best"))
    assert not same.promoted
    compare(same.reason)
    assert choose("EIR", *own, Champion("t_train_v1", 0.8, candidate="last")).promoted


def test_a_candidate_without_the_metric_is_passed_over():
    assert best_candidate("EIR", {"best": {}, "last": {"EIR": 0.1}}) == "last"
    with raises(DataError, "EIR"):
        best_candidate("EIR", {"best": {}, "last": {"mask_AP": 0.3}})
