"""Scores by bins, and thresholds: compared with scikit-learn."""

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import f1_score, precision_score

from sightline.metrics.reliability import best_operating_point, reliability, right_and_wrong


@pytest.mark.parametrize("seed", range(20))
def test_reliability_is_that_of_scikit_learn(seed):
    noise = np.random.default_rng(seed)
    scores = noise.random(noise.integers(1, 200))
    right = noise.random(len(scores)) < scores
    shares, means = calibration_curve(right, scores, n_bins=10)
    found = reliability(scores, right)
    assert [one[0] for one in found] == pytest.approx(means, abs=1e-5)
    assert [one[1] for one in found] == pytest.approx(shares)
    assert sum(one[2] for one in found) == len(scores)


def test_histograms_count_everything_once():
    noise = np.random.default_rng(0)
    scores, right = np.append(noise.random(500), [0.0, 1.0]), noise.random(502) < 0.4
    found = right_and_wrong(scores, right)
    expected = [np.histogram(scores[kind], bins=20, range=(0, 1))[0].tolist() for kind in (right, ~right)]
    assert [*found] == expected
    assert right_and_wrong(np.zeros(0), np.zeros(0, bool)) == ([0] * 20, [0] * 20)


@pytest.mark.parametrize("seed", range(30))
def test_no_threshold_has_a_higher_f1(seed):
    noise = np.random.default_rng(seed)
    found, missed = int(noise.integers(1, 60)), int(noise.integers(0, 9))
    right = noise.random(found) < 0.5
    scores = np.round(noise.random(found) * 0.6 + right * 0.3, 2)  # ties
    point = best_operating_point(scores, right, int(right.sum()) + missed)
    if not right.any():
        assert point is None
        return
    truth = np.append(right, np.ones(missed, bool))

    def f1(threshold):
        return f1_score(truth, np.append(scores >= threshold, np.zeros(missed, bool)))

    best = max(f1(threshold) for threshold in np.linspace(0, 1, 401))
    assert point.f1 == pytest.approx(best)
    assert f1(point.threshold) == pytest.approx(best)
    assert point.precision == pytest.approx(precision_score(right, scores >= point.threshold))
