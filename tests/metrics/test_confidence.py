import numpy as np
import pytest

from sightline.metrics.confidence import THRESHOLDS, RecallAtPrecision, confidence_curve, recall_at_precision
from sightline.metrics.matches import match_detections

HERE, THERE, ELSEWHERE = (10, 10, 40, 40), (60, 60, 90, 90), (10, 60, 40, 90)


@pytest.fixture
def matches(make_truth, make_found):
    """Two images of two classes: three truths; three right and two wrong detections."""
    truth = make_truth([[(1, HERE), (2, THERE)], [(1, HERE)]], ["a", "b"])
    found = [
        make_found(1, [(1, 0.9, HERE), (2, 0.6, THERE), (1, 0.5, ELSEWHERE)]),
        make_found(2, [(1, 0.7, HERE), (2, 0.65, HERE)]),
    ]
    return {kind: match_detections(truth, found, kind) for kind in ("box", "mask")}


@pytest.fixture
def scores(matches):
    return {kind: confidence_curve(one) for kind, one in matches.items()}


@pytest.mark.parametrize(
    ("threshold", "right", "found"),
    [
        (0.0, 3, 5),
        (0.5, 3, 5),  # a score that is the threshold counts
        (0.51, 3, 4),
        (0.6, 3, 4),  # 0.6 as float32 is a little more, 0.7 a little less: both count as what they were called
        (0.61, 2, 3),
        (0.66, 2, 2),
        (0.7, 2, 2),
        (0.71, 1, 1),
        (0.91, 0, 0),
        (1.0, 0, 0),
    ],
)
@pytest.mark.parametrize("overlap", ["box", "mask"])
def test_precision_recall_and_f1_are_those_of_the_detections_that_are_left(scores, overlap, threshold, right, found):
    curve, index = scores[overlap], round(100 * threshold)
    assert curve.precision[index] == (right / found if found else None)
    assert curve.recall[index] == right / 3
    assert curve.f1[index] == 2 * right / (found + 3)


def test_the_best_threshold_is_the_middle_of_where_f1_is_highest(scores):
    curve = scores["box"]
    assert max(curve.f1) == 2 * 3 / (4 + 3)
    assert curve.best_threshold == 0.55  # of 0.51 to 0.60


def test_the_threshold_keeps_what_detections_keep(scores, make_found):
    found = make_found(1, [(1, 0.7, HERE)])
    assert len(found.above(float(THRESHOLDS[70]))) == 1
    assert scores["box"].recall[70] == 2 / 3


def test_nothing_found_and_nothing_there(make_truth, make_found):
    nothing = confidence_curve(match_detections(make_truth([[(1, HERE)]], ["a"]), [], "box"))
    assert (set(nothing.precision), set(nothing.recall), set(nothing.f1)) == ({None}, {0.0}, {0.0})
    empty = confidence_curve(match_detections(make_truth([[]], ["a"]), [make_found(1, [(1, 0.7, HERE)])], "box"))
    assert (set(empty.precision), set(empty.recall)) == ({0.0, None}, {0.0})


def test_the_document_has_a_value_for_each_threshold(scores):
    document = scores["mask"].document()
    assert {len(document[name]) for name in ("precision", "recall", "f1")} == {len(THRESHOLDS)} == {101}
    assert np.isclose(document["f1"][0], 6 / 8)
    assert document["precision"][100] is None


@pytest.mark.parametrize(
    ("precision", "recall", "score"),
    [
        (0.5, 1.0, 0.6),  # of five detections three are right, and the last of them has the score 0.6
        (0.75, 1.0, 0.6),
        (0.76, 2 / 3, 0.7),
        (1.0, 2 / 3, 0.7),
    ],
)
@pytest.mark.parametrize("kind", ["box", "mask"])
def test_recall_at_fixed_precision(matches, kind, precision, recall, score):
    found = recall_at_precision(matches[kind], precision)
    assert (found.recall, found.score_threshold) == pytest.approx((recall, score))


def test_recall_at_fixed_precision_of_a_class(matches):
    assert recall_at_precision(matches["box"], 0.9, 0).recall == 1.0
    assert recall_at_precision(matches["box"], 0.9, 1) == RecallAtPrecision(0.0, None)  # the best one is wrong
    assert recall_at_precision(matches["box"], 0.5, 1).recall == 1.0


def test_detections_with_the_same_score_are_kept_together(make_truth, make_found):
    truth = make_truth([[(1, HERE), (1, THERE)]], ["a"])
    found = [make_found(1, [(1, 0.9, HERE), (1, 0.9, ELSEWHERE), (1, 0.5, THERE)])]
    matched = match_detections(truth, found, "box")
    assert recall_at_precision(matched, 0.9) == RecallAtPrecision(0.0, None)
    assert recall_at_precision(matched, 0.6).recall == 1.0
    assert recall_at_precision(match_detections(make_truth([[]], ["a"]), found, "box"), 0.9) is None
    assert recall_at_precision(match_detections(truth, [], "box"), 0.9) == RecallAtPrecision(0.0, None)
