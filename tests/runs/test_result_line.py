"""The last lines of a run: its own best candidate, and before it what became of the champion."""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import asdict

import pytest

from sightline.registry import results
from sightline.registry.gate_report import GateReport
from sightline.registry.results import EvaluateResult, ScoredModel, Selection
from sightline.runs.document import RunDocument, champion_lines, result_line

OWN, OLD = "a" * 64, "b" * 64
LINE = re.compile(r"result: box_AP50=\d\.\d{4} mask_AP50=\d\.\d{4} EIR=\d\.\d{4} seconds=\d+\.\d")


def metrics(value):
    return {"box_AP50": value, "mask_AP50": value, "EIR": value, "mask_AP_small": value}


def choice(metric, *, stays=False, promoted=False, **changes):
    fields = {"uri": "u", "sha256": OLD if stays else OWN, "name": "champion" if stays else "best", "value": 0.5}
    fields |= {"previous_sha256": OLD, "previous_value": 0.5, "promoted": promoted, "reason": f"{metric}: because"}
    fields |= {"candidate": "best", "candidate_sha256": OWN, "champion": "measured", "champion_tag": "plates_train_v1"}
    return Selection(metric, **fields | changes)


@pytest.fixture
def lines(tmp_path, monkeypatch):
    document = RunDocument("r1", "plates", [], [], "", "", {}, "", "succeeded", "", 2.5, 0)

    def told(selections, tested=(), *, earlier=False):
        models = [
            ScoredModel("best", "u", OWN, "t", metrics(0.4)),
            ScoredModel("champion", "u", OLD, "t", metrics(0.6)),
        ]
        write(tmp_path, "evaluate", asdict(EvaluateResult("t", models, list(selections), "f", 1.0)), earlier=earlier)
        if tested:
            write(tmp_path, "test", asdict(results.TestResult("t", 3, 0, list(tested), "f", 1.0)), earlier=earlier)
        return [*champion_lines(tmp_path, document), result_line(tmp_path, document)]

    return told


def write(work, step, result, *, earlier):
    if earlier:
        for entry in [*result["models"], *result.get("selections", [])]:
            for name in [name for name in entry if name in LATER]:
                del entry[name]
    path = work / "runs" / "r1" / "tasks" / f"{step}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"step": step, "state": "succeeded", "result": json.dumps(result)}))


LATER = {"candidate", "candidate_sha256", "candidate_uri", "candidate_value", "champion", "champion_tag", "obstacle"}
LATER |= {"compared_classes", "added_classes", "removed_classes", "classes", "role"}
TESTED = [
    results.TestedModel("mask_AP", "u", OWN, metrics(0.3), 1.0, "p", "best", "candidate"),
    results.TestedModel("mask_AP", "u", OLD, metrics(0.7), 1.0, "p", "champion", "champion"),
]


def test_a_new_champion_needs_no_line_of_its_own(lines):
    (line,) = lines([choice("EIR", promoted=True)], TESTED[:1])
    assert line == "result: box_AP50=0.3000 mask_AP50=0.3000 EIR=0.3000 seconds=2.5"
    assert LINE.fullmatch(line)


def test_a_metric_of_the_recipe_that_selects_is_among_the_numbers(lines):
    tested = [dataclasses.replace(one, metrics=one.metrics | {"cup_recall": 0.25, "other": 0.5}) for one in TESTED[:1]]
    (line,) = lines([choice("cup_recall", promoted=True)], tested)
    assert line == "result: box_AP50=0.3000 mask_AP50=0.3000 EIR=0.3000 cup_recall=0.2500 seconds=2.5"


def test_the_result_is_the_candidates_where_the_champion_stays(lines):
    assert lines([choice("EIR", stays=True)], TESTED) == [
        "champion: plates_train_v1 stays: box_AP50=0.7000 mask_AP50=0.7000 EIR=0.7000",
        "result: box_AP50=0.3000 mask_AP50=0.3000 EIR=0.3000 seconds=2.5",
    ]


def test_before_the_test_both_are_told_of_val(lines):
    assert lines([choice("EIR", stays=True)]) == [
        "champion: plates_train_v1 stays: box_AP50=0.6000 mask_AP50=0.6000 EIR=0.6000",
        "result: box_AP50=0.4000 mask_AP50=0.4000 EIR=0.4000 seconds=2.5",
    ]


def test_a_champion_that_stays_by_one_metric_says_by_which(lines):
    first, _ = lines([choice("mask_AP", promoted=True), choice("EIR", stays=True)], TESTED)
    assert first.startswith("champion: plates_train_v1 stays by EIR: box_AP50=0.7000")


def test_a_candidate_that_is_not_promoted_says_why(lines):
    low = choice("EIR", champion="none", previous_sha256="", reason="no champion: EIR 0.01 is below 0.05")
    assert lines([low], TESTED[:1])[0] == "champion: none: EIR 0.01 is below 0.05"


@pytest.mark.parametrize("promoted", [True, False])
def test_the_gate_says_why_it_decided(lines, promoted):
    gate = GateReport("EIR", "best", promoted, difference=0.02, low=-0.01, high=0.05, probability=0.9)
    decided = choice("EIR", stays=not promoted, promoted=promoted, gate=gate, reason="+0.02 (-0.01 to 0.05)")
    uncompared = choice("mask_AP", promoted=True, gate=GateReport("mask_AP", "best", True))
    told = lines([decided, uncompared], TESTED)
    assert [line for line in told if line.startswith("gate: ")] == ["gate: +0.02 (-0.01 to 0.05)"]


def test_results_of_earlier_releases(lines):
    (line,) = lines([choice("EIR", stays=True)], TESTED[1:], earlier=True)
    assert line == "result: box_AP50=0.7000 mask_AP50=0.7000 EIR=0.7000 seconds=2.5"  # they tested what was selected


def test_a_test_split_without_images_leaves_the_numbers_of_val(lines):
    untested = results.TestedModel("mask_AP", "u", OWN, {}, 0.0, "p", "best", "candidate")
    line = lines([choice("mask_AP", promoted=True)], [untested])[-1]
    assert line == lines([choice("mask_AP", promoted=True)])[-1]
    assert "mask_AP50=" in line


def test_nothing_is_known_yet(tmp_path):
    document = RunDocument("r1", "plates", [], [], "", "", {}, "", "failed", "", 2.5, 0)
    assert champion_lines(tmp_path, document) == []
    assert result_line(tmp_path, document) == "result: seconds=2.5"
