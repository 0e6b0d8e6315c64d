"""Metrics of classification against scikit-learn's multi-class and multi-label functions, and rare cases by hand."""

import numpy as np
import pytest
from sklearn import metrics as oracle

from sightline.metrics.classification import calibration_error, roc_curve, score_label_set
from sightline.metrics.operating_points import best_threshold, decide

NONE = np.full(4, np.nan)


def made_up(multiple, images=400, classes=4, seed=0):
    """Truth, and probabilities that often, but not always agree with it."""
    rng = np.random.default_rng(seed)
    if multiple:
        truth = rng.random((images, classes)) < np.linspace(0.1, 0.6, classes)
        return truth, np.clip(0.25 + 0.5 * truth + rng.normal(0, 0.25, truth.shape), 0, 1)
    labels = rng.choice(classes, images, p=np.arange(1, classes + 1) / sum(range(1, classes + 1)))
    truth = np.arange(classes) == labels[:, None]
    logits = 1.5 * truth + rng.normal(0, 1, truth.shape)
    return truth, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def test_one_class_an_image_is_measured_as_by_scikit_learn():
    truth, probabilities = made_up(multiple=False)
    found = score_label_set(truth, probabilities, decide(probabilities, NONE, multiple=False), multiple=False)
    labels, said = truth.argmax(axis=1), probabilities.argmax(axis=1)
    expected = {"accuracy": oracle.accuracy_score(labels, said)}
    for average in ("macro", "micro", "weighted"):
        expected |= {
            f"{name}_{average}": getattr(oracle, f"{name}_score")(labels, said, average=average)
            for name in ("precision", "recall", "f1")
        }
    expected["auroc"] = oracle.roc_auc_score(labels, probabilities, multi_class="ovr", average="macro")
    expected["average_precision"] = oracle.average_precision_score(truth, probabilities, average="macro")
    assert {name: found.values[name] for name in expected} == pytest.approx(expected, abs=1e-12)
    assert found.values["f1_micro"] == pytest.approx(found.values["accuracy"])
    assert 0.5 < found.values["accuracy"] < 0.95
    report = oracle.classification_report(labels, said, output_dict=True)
    for place, row in enumerate(found.per_class):
        assert row["images"] == report[str(place)]["support"]
        assert [row[name] for name in ("precision", "recall", "f1")] == pytest.approx(
            [report[str(place)][name] for name in ("precision", "recall", "f1-score")], abs=1e-12
        )


def test_any_number_of_classes_is_measured_as_by_scikit_learn():
    truth, probabilities = made_up(multiple=True)
    said = decide(probabilities, NONE, multiple=True)
    found = score_label_set(truth, probabilities, said, multiple=True)
    expected = {"accuracy": oracle.accuracy_score(truth, said)}
    for average in ("macro", "micro", "weighted"):
        expected[f"f1_{average}"] = oracle.f1_score(truth, said, average=average)
    expected["auroc"] = oracle.roc_auc_score(truth, probabilities, average="macro")
    assert {name: found.values[name] for name in expected} == pytest.approx(expected, abs=1e-12)


@pytest.mark.filterwarnings("error")
def test_a_class_without_an_image_is_left_out_of_the_means():
    truth = np.array([[True, False, False]] * 3 + [[False, True, False]])
    probabilities = np.array([[0.8, 0.1, 0.1], [0.1, 0.1, 0.8], [0.7, 0.2, 0.1], [0.6, 0.3, 0.1]])
    found = score_label_set(truth, probabilities, decide(probabilities, NONE[:3], multiple=False), multiple=False)
    assert set(found.per_class[2]) == {"images", "predicted"}
    assert found.per_class[2] == {"images": 0, "predicted": 1}
    assert found.per_class[1]["precision"] == 0  # never predicted
    assert found.values["recall_macro"] == pytest.approx((2 / 3 + 0) / 2)
    assert found.values["precision_macro"] == pytest.approx((2 / 3 + 0) / 2)
    assert set(found.roc) == {0, 1}


def test_what_cannot_be_computed_is_absent():
    truth = np.ones((3, 1), dtype=bool)
    found = score_label_set(truth, np.full((3, 1), 0.9), truth, multiple=False)
    assert found.values["accuracy"] == 1
    assert found.values["average_precision"] == 1
    assert "auroc" not in found.values
    assert score_label_set(truth[:0], np.zeros((0, 1)), truth[:0], multiple=True).values == {}
    none = np.zeros((4, 2), dtype=bool)
    assert "f1_macro" not in score_label_set(none, np.full((4, 2), 0.2), none, multiple=True).values


def test_calibration_of_decisions_and_of_classes():
    """A hundred decisions that are 85 % sure, of which 60 are right; and a class that is said to apply with 30 %."""
    probabilities = np.tile([0.85, 0.15], (100, 1))
    truth = np.arange(2) == (np.arange(100) >= 60)[:, None]
    decisions = decide(probabilities, NONE[:2], multiple=False)
    assert calibration_error(truth, probabilities, decisions, multiple=False) == pytest.approx(0.25)
    applies = (np.arange(100) < 50)[:, None]
    assert calibration_error(applies, np.full((100, 1), 0.3), applies, multiple=True) == pytest.approx(0.2)
    sure = np.array([[1.0, 0.0]] * 4)
    assert calibration_error(sure > 0.5, sure, sure > 0.5, multiple=False) == 0


def test_the_calibration_error_is_the_mean_over_bins():
    truth, probabilities = made_up(multiple=False, seed=3)
    decisions = decide(probabilities, NONE, multiple=False)
    confidence, right = probabilities.max(axis=1), (truth & decisions).any(axis=1)
    expected = 0.0
    for low in np.arange(15) / 15:
        inside = (confidence >= low) & (confidence < low + 1 / 15)
        if inside.any():
            expected += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
    assert calibration_error(truth, probabilities, decisions, multiple=False) == pytest.approx(expected)


def test_a_roc_curve_has_the_area_of_auroc_and_its_thresholds_fall():
    truth, probabilities = made_up(multiple=True, images=3000)
    curve = roc_curve(truth[:, 0], probabilities[:, 0])
    area = np.trapezoid(curve.true_positive_rates, np.linspace(0, 1, 101))
    assert area == pytest.approx(oracle.roc_auc_score(truth[:, 0], probabilities[:, 0]), abs=2e-3)
    assert (np.diff(curve.thresholds) <= 0).all()
    assert curve.true_positive_rates[-1] == 1
    at = 30  # where 30 % of the others are taken for it, the threshold says so
    found = (probabilities[~truth[:, 0], 0] >= curve.thresholds[at]).mean()
    assert found == pytest.approx(0.3, abs=0.01)


@pytest.mark.parametrize("seed", range(5))
def test_the_operating_threshold_has_the_highest_f1(seed):
    truth, probabilities = made_up(multiple=True, images=60, seed=seed)
    truth, probabilities = truth[:, 0], probabilities[:, 0]
    chosen = best_threshold(truth, probabilities)
    precision, recall, _ = oracle.precision_recall_curve(truth, probabilities)
    best = np.max(2 * precision * recall / np.maximum(precision + recall, 1e-12))
    assert oracle.f1_score(truth, probabilities >= chosen) == pytest.approx(best)


def test_the_operating_threshold_without_a_choice_is_a_half():
    assert best_threshold(np.zeros(3, bool), np.array([0.1, 0.2, 0.3])) == 0.5
    assert best_threshold(np.ones(3, bool), np.array([0.1, 0.2, 0.3])) == 0.5
    assert best_threshold(np.array([False, True]), np.array([0.2, 0.9])) == 0.5


def test_decisions():
    two = np.array([[0.7, 0.3], [0.5, 0.5], [0.2, 0.8]])
    assert decide(two, np.array([np.nan, np.nan]), multiple=False)[:, 1].tolist() == [False, False, True]
    assert decide(two, np.array([np.nan, 0.3]), multiple=False)[:, 1].tolist() == [True, True, True]
    assert decide(two, np.array([0.6, np.nan]), multiple=True).tolist() == [[True, False], [False, True], [False, True]]
    assert decide(np.zeros((0, 3)), NONE[:3], multiple=False).shape == (0, 3)
