"""The statistics of classification against scikit-learn with sample weights, and against repeated images."""

import numpy as np
import pytest
from sklearn import metrics as sklearn

from sightline.metrics.classification import calibration_error, score_label_set
from sightline.metrics.classification_statistics import CalibrationError, DecisionScore, MeanOf, RankingScore, share

CLASSES = 4


@pytest.fixture(params=range(25))
def world(request):
    """Truth, probabilities and decisions of some images of a larger split, and weights of all its images."""
    random = np.random.default_rng(request.param)
    size = int(random.integers(3, 40))
    images = np.sort(random.choice(60, size, replace=False))
    classes = random.integers(0, CLASSES if request.param % 3 else 2, size)
    probabilities = random.dirichlet(np.ones(CLASSES), size).round(1 if request.param % 2 else 8)
    weights = random.integers(0, 4, (6, 60)).astype(float)
    weights[0] = 1.0
    return images, classes, probabilities, weights


def decided(probabilities):
    return np.arange(CLASSES) == probabilities.argmax(axis=1)[:, None]


def test_precision_recall_and_f1_equal_scikit_learn_with_sample_weights(world):
    images, classes, probabilities, weights = world
    truth, decisions = np.arange(CLASSES) == classes[:, None], decided(probabilities)
    for average in ("macro", "weighted", "micro"):
        found = [
            DecisionScore(images, truth, decisions, score, average).values(weights)
            for score in ("precision", "recall", "f1")
        ]
        for row, weight in enumerate(weights):
            counted = weight[images]
            present = [one for one in range(CLASSES) if counted[truth[:, one]].sum()]
            if not present:
                assert np.isnan([one[row] for one in found]).all()
                continue
            labels = None if average == "micro" else present
            expected = sklearn.precision_recall_fscore_support(
                classes,
                decisions.argmax(axis=1),
                labels=labels,
                average=average,
                sample_weight=counted,
                zero_division=0,
            )[:3]
            assert [one[row] for one in found] == pytest.approx(expected, abs=1e-12)


def test_rankings_equal_scikit_learn_with_sample_weights(world):
    images, classes, probabilities, weights = world
    truth, scores = classes == 0, probabilities[:, 0]
    of = {
        "auroc": sklearn.roc_auc_score,
        "average_precision": sklearn.average_precision_score,
    }
    for name, function in of.items():
        found = RankingScore(images, truth, scores, name).values(weights)
        for row, weight in enumerate(weights):
            counted = weight[images]
            both = counted[truth].sum() > 0 and counted[~truth].sum() > 0
            if both:
                kept = counted > 0
                expected = function(truth[kept], scores[kept], sample_weight=counted[kept])
                assert found[row] == pytest.approx(expected, abs=1e-12)
            elif name == "auroc" or not counted[truth].sum():
                assert np.isnan(found[row])


@pytest.mark.parametrize("multiple", [False, True])
def test_an_image_with_weight_two_counts_like_two_images(world, multiple):
    images, classes, probabilities, weights = world
    truth = np.arange(CLASSES) == classes[:, None]
    decisions = probabilities >= 0.5 if multiple else decided(probabilities)
    found = {
        "accuracy": share(images, (truth == decisions).all(axis=1), 60).values(weights),
        "calibration_error": CalibrationError(images, truth, probabilities, decisions, multiple).values(weights),
        "auroc": MeanOf(
            [RankingScore(images, truth[:, one], probabilities[:, one], "auroc") for one in range(CLASSES)]
        ).values(weights),
    }
    for row, weight in enumerate(weights):
        rows = np.repeat(np.arange(len(images)), weight[images].astype(int))
        expected = score_label_set(truth[rows], probabilities[rows], decisions[rows], multiple=multiple).values
        assert np.isnan(found["accuracy"][row]) == (len(rows) == 0)
        for name, values in found.items():
            if name in expected and not np.isnan(values[row]):
                assert values[row] == pytest.approx(expected[name], abs=1e-12), name
        if len(rows):
            error = calibration_error(truth[rows], probabilities[rows], decisions[rows], multiple=multiple)
            if (decisions if not multiple else truth)[rows].any() or multiple:
                assert found["calibration_error"][row] == pytest.approx(error, abs=1e-12)
