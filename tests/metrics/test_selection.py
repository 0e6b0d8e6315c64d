"""Who wins, and why: the table of cases."""

from __future__ import annotations

import pytest

from sightline.errors import ConfigurationError, DataError
from sightline.metrics.selection import METRICS, Champion, check_metrics, choose


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


def test_a_champion_that_cannot_be_compared_gives_way_and_the_reason_says_so():
    rival = Champion("t_train_v1", None, "the champion of t_train_v1 was made for the classes a, b, these are a, b, c")

    choice = choose("EIR", {"best": {"EIR": 0.25}}, rival)

    assert choice.promoted
    assert choice.reason == (
        "best is selected without a comparison: the champion of t_train_v1 was made for the classes a, b, "
        "these are a, b, c; EIR 0.25"
    )


def test_a_candidate_without_the_metric_is_passed_over():
    assert choose("EIR", {"best": {}, "last": {"EIR": 0.1}}, None).candidate == "last"
    with pytest.raises(DataError, match="no model can be selected by EIR: the split has no truth"):
        choose("EIR", {"best": {}, "last": {"mask_AP": 0.3}}, None)


def test_check_metrics():
    check_metrics(METRICS, "plates")
    with pytest.raises(
        ConfigurationError, match=r"unknown metric 'mAP'; a model can be selected by box_AP, .*dv_mAP, EIR"
    ):
        check_metrics(["mask_AP", "mAP"], "plates")
    with pytest.raises(ConfigurationError, match=r"EIR counts structures .* but reading is none; set reading=plates"):
        check_metrics(["EIR"], "none")
    with pytest.raises(ConfigurationError, match="mask_AP stands there twice"):
        check_metrics(["mask_AP", "mask_AP"], "none")
