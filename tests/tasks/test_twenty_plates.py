"""Structured exact match on 20 plates with known faults; all verdicts were written by hand."""

from __future__ import annotations

import json

import pytest

from sightline.metrics.exact_match import evaluate_exact_match
from sightline.metrics.reading_errors import align, errors_document, verdicts
from sightline.report.sections import ConfusionSection, TableSection
from sightline.tasks.evaluators import open_evaluator
from sightline.tasks.readers.plates import CLASSES, PlateReader
from tests.tasks.test_plate_reader import changed, found_in, plate, truth_of

SUB, MAIN = PlateReader.parts
TRUE = plate("r_board", "12a", "3456")
OTHER = plate("l_board", "77b", "0000")
ONLY_BOARD = [part for part in TRUE if part[0] == "r_board"]

PLATES = [
    # truth, detections, read exactly, edit distance, what is wrong, unequal characters (true, read)
    (TRUE, TRUE, True, 0, (), []),
    (OTHER, OTHER, True, 0, (), []),
    (TRUE, plate(main="3457"), False, 1, (MAIN,), [("6", "7")]),
    (TRUE, plate(main="8956"), False, 2, (MAIN,), [("3", "8"), ("4", "9")]),
    (TRUE, plate(sub="12b"), False, 1, (SUB,), [("a", "b")]),
    (TRUE, changed(TRUE, "5"), False, 1, (MAIN,), [("5", "")]),
    (TRUE, [*TRUE, ("7", 0.9, (100, 40, 110, 70))], False, 1, (MAIN,), [("", "7")]),
    (TRUE, plate("l_board"), False, 0, ("kind",), []),
    (TRUE, plate("l_board", main="1456"), False, 1, ("kind", MAIN), [("3", "1")]),
    (TRUE, [], False, None, (), []),
    (TRUE, ONLY_BOARD, False, 7, (SUB, MAIN), [(character, "") for character in "12a3456"]),
    (TRUE, changed(TRUE, "r_s_n"), False, 3, (SUB,), [("1", ""), ("2", ""), ("a", "")]),
    (TRUE, plate(at=(15, 0)), False, 0, ("place",), []),  # 0.125 board widths away
    (TRUE, plate(at=(130, 0)), False, None, (), []),  # beside the plate: a false reading
    (TRUE, plate(score=0.4), False, None, (), []),  # below the score threshold
    (TRUE, [*TRUE, *plate(at=(0, 90), score=0.8)], True, 0, (), []),  # and a second one, which is false
    (TRUE, [*TRUE, ("8", 0.6, (33, 38, 57, 74))], True, 0, (), []),  # the 4 less surely as an 8
    (TRUE, [*TRUE, ("8", 0.95, (33, 38, 57, 74))], False, 1, (MAIN,), [("4", "8")]),  # more surely
    (TRUE, plate(sub="72a", main="3458"), False, 2, (SUB, MAIN), [("1", "7"), ("6", "8")]),
    (TRUE, plate(main="3546"), False, 2, (MAIN,), [("4", "5"), ("5", "4")]),
]
EXACT, FALSE = 4, 11


@pytest.fixture
def truth():
    return truth_of([true for true, *_ in PLATES])


@pytest.fixture
def detections():
    return [found_in(number, found) for number, (_, found, *_) in enumerate(PLATES, 1)]


def test_every_verdict(truth, detections):
    result = evaluate_exact_match(truth, [found.above(0.5) for found in detections], PlateReader(CLASSES))
    found = verdicts(result, PlateReader.parts)

    assert len(found) == len(PLATES) == 20
    for number, (verdict, (_, _, exact, distance, wrong, unequal)) in enumerate(zip(found, PLATES, strict=True), 1):
        differing = [pair for pair in verdict.characters if pair[0] != pair[1]]
        assert (verdict.image_id, verdict.exact, verdict.distance) == (number, exact, distance)
        assert (verdict.wrong, differing) == (wrong, unequal), number
    assert (result.matched, result.false, result.values) == (EXACT, FALSE, {"EIR": EXACT / 20})


def test_the_totals(truth, detections):
    result = evaluate_exact_match(truth, [found.above(0.5) for found in detections], PlateReader(CLASSES))

    errors = errors_document(verdicts(result, PlateReader.parts), PlateReader.parts)

    assert errors["distances"] == {"0": 6, "1": 6, "2": 3, "3": 1, "4 or more": 1}
    assert errors["not_read"] == 3
    assert errors["mean_distance"] == pytest.approx(22 / 17)
    assert errors["wrong"] == {"kind": 2, SUB: 4, MAIN: 9, "place": 1}
    assert errors["kinds"] == {"l_board": {"true": 1, "exact": 1}, "r_board": {"true": 19, "exact": 3}}
    labels, matrix = errors["characters"]["labels"], errors["characters"]["matrix"]
    count = {(true, read): matrix[i][j] for i, true in enumerate(labels) for j, read in enumerate(labels)}
    assert labels[-1] == "none"
    assert count["4", "8"] == 1
    assert count["6", "7"] == count["6", "8"] == count["none", "7"] == 1
    assert count["1", "none"] == 2
    # Of the 16 plates with a 6 and a reading, one lacks its characters and two have something else.
    assert count["6", "6"] == 13
    assert sum(map(sum, matrix)) == sum(7 for *_, distance, _, _ in PLATES if distance is not None) + 1


def test_the_measurement_has_metric_statistic_and_sections(truth, detections):
    names = dict(enumerate(CLASSES, 1))

    measured = open_evaluator("object_detection", "plates", names).measure(truth, detections, 0.5)

    assert measured.metrics["EIR"] == EXACT / 20
    weights = [[1.0] * 20, [1.0, 1.0, 2.0, *[0.0] * 17], [*[0.0] * 9, 1.0, *[0.0] * 10]]
    assert measured.statistics["EIR"].values(weights).tolist() == [0.2, 0.5, 0.0]
    sections = {section.id: section for section in measured.sections}
    misread = [one for one in measured.remarks.values() if "plate misread" in one.text]
    assert len(misread) == sum(not one.right for one in sections["readings"].examples) == 20 - EXACT + 1  # one is extra
    assert all(one.mistakes for one in misread)
    assert isinstance(sections["reading-characters"], ConfusionSection)
    fields = sections["reading-fields"]
    assert isinstance(fields, TableSection)
    assert fields.rows[MAIN] == {"wrong": 9, "share": pytest.approx(9 / 17)}
    assert sections["reading-distances"].rows["not read"] == {"plates": 3, "share": 3 / 20}
    assert sections["reading-kinds"].rows["r_board"] == {"true": 19, "exact": 3, "EIR": 3 / 19}
    json.dumps(measured.document(), allow_nan=False)


def test_without_detections_and_without_plates_nothing_fails(truth):
    evaluator = open_evaluator("object_detection", "plates", dict(enumerate(CLASSES, 1)))

    nothing = evaluator.measure(truth, [found_in(number, []) for number in range(1, 21)], 0.5)
    empty = evaluator.measure(truth_of([[]]), [found_in(1, TRUE)], 0.5)

    assert nothing.metrics["EIR"] == 0.0
    assert {section.id: section for section in nothing.sections}["reading-distances"].rows["not read"]["share"] == 1.0
    assert "EIR" not in empty.metrics
    assert "EIR" not in empty.statistics
    json.dumps([nothing.document(), empty.document()], allow_nan=False)


@pytest.mark.parametrize(
    ("true", "read", "distance"),
    [("", "", 0), ("abc", "", 3), ("", "ab", 2), ("kitten", "sitting", 3), ("flaw", "lawn", 2), ("0000", "000", 1)],
)
def test_align_has_the_fewest_differences(true, read, distance):
    pairs = align(true, read)

    assert "".join(one for one, _ in pairs) == true
    assert "".join(other for _, other in pairs) == read
    assert sum(one != other for one, other in pairs) == distance
    assert ("", "") not in pairs
