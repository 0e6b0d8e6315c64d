"""Intervals contain the truth as often as they claim, with clustered images; without care they would not."""

import numpy as np
import pytest

from sightline.evaluation.bootstrap import Resamples
from sightline.metrics.statistic import Ratio
from tests.evaluation.simulated import classifiers, detectors, groups_of, true_difference

COMPARISONS = 500


def coverage(make, groups, size, resamples):
    """How often the 95 % interval contains the true difference; and if a repeated image counted only once."""
    true, random = true_difference(make, size, 0.1), np.random.default_rng(7)
    names = groups_of(groups, size)
    inside = without = 0
    for seed in range(COMPARISONS):
        one, other = make(random, groups, size, 0.1)
        found = Resamples(names, resamples, seed).difference(one, other)
        inside += found.low <= true <= found.high
        once = np.minimum(np.random.default_rng(seed).multinomial(groups, np.ones(groups) / groups, resamples), 1)
        weights = np.repeat(once, size, axis=1).astype(float)
        low, high = np.quantile(one.values(weights) - other.values(weights), [0.025, 0.975])
        without += low <= true <= high
    return inside / COMPARISONS, without / COMPARISONS


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "groups", "size", "resamples"), [(classifiers, 120, 3, 1000), (detectors, 120, 2, 250)]
)
def test_95_percent_intervals_contain_the_true_difference_93_to_97_times_in_100(make, groups, size, resamples):
    inside, without = coverage(make, groups, size, resamples)

    assert 0.93 <= inside <= 0.97
    assert without < 0.9  # intervals are too narrow


def test_ignoring_groups_makes_intervals_too_narrow():
    random = np.random.default_rng(3)
    right = np.repeat(random.random(40) < 0.5, 5).astype(float)  # five copies of each image
    statistic = Ratio(right, np.ones(200))
    grouped = Resamples(groups_of(40, 5)).interval(statistic)
    single = Resamples([""] * 200).interval(statistic)
    assert grouped.high - grouped.low > 1.8 * (single.high - single.low)  # sqrt(5) in theory


def test_the_same_images_and_seed_give_the_same_interval():
    one, other = classifiers(np.random.default_rng(1), 30, 2, 0.3)
    names = groups_of(30, 2)
    first, second = (Resamples(names, 200, 5).difference(one, other) for _ in range(2))
    assert (first.low, first.high) == (second.low, second.high)
    another = Resamples(names, 200, 6).difference(one, other)
    assert not np.array_equal(first.samples, another.samples)


def test_equal_models_are_better_with_probability_one_half():
    one, _ = classifiers(np.random.default_rng(1), 30, 2, 0.0)
    found = Resamples(groups_of(30, 2), 200).difference(one, one)
    assert (found.value, found.low, found.high) == (0, 0, 0)
    assert found.probability_above(0) == pytest.approx(100 / 201)


def test_a_smaller_error_is_better():
    good, bad = Ratio(np.zeros(20), np.ones(20)), Ratio(np.arange(20) / 20, np.ones(20))
    found = Resamples([""] * 20, 200).difference(good, bad, higher_is_better=False)
    assert found.value == pytest.approx(0.475)
    assert found.probability_above(0) == 200 / 201


def test_a_single_group_of_images_proves_nothing():
    one, other = classifiers(np.random.default_rng(1), 1, 30, 3.0)
    found = Resamples(["a"] * 30, 200).difference(one, other)
    assert found.value > 0
    assert found.probability_above(0) == 0


def test_a_part_of_the_images_and_no_images():
    statistic = Ratio(np.array([1.0, 0.0, 1.0, 0.0]), np.ones(4))
    resamples = Resamples(["a", "b", "c", "d"], 200)
    part = resamples.difference(statistic, Ratio(np.zeros(4), np.ones(4)), np.array([True, False, True, False]))
    assert (part.value, part.low, part.high) == (1, 1, 1)
    assert resamples.difference(statistic, statistic, np.zeros(4, bool)) is None
    assert np.isnan(resamples.value(statistic, np.zeros(4, bool)))
    assert Resamples([], 200).interval(Ratio(np.zeros(0), np.zeros(0))) is None
