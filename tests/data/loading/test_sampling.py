import numpy as np
import pytest

from sightline.data.loading.order import Order
from sightline.data.loading.sampling import class_balance, image_weights, repeat_factors, systematic_counts

# Image by image, the classes of its objects: 1 is common, 2 in a tenth, 3 in one image, and two images are empty.
CLASSES = [[1]] * 14 + [[1, 2, 2], [2], [1, 3], [1], [], []]


def seen(order, passes):
    images = [order.image_at(position) for position in range(passes * order.length)]
    return np.bincount(images, minlength=len(CLASSES))


def test_repeat_factors_are_those_of_the_paper():
    """The definition of LVIS, written out: r = max over classes of max(1, sqrt(t / f))."""
    factors = repeat_factors(CLASSES, 0.4)
    share = {1: 17 / 20, 2: 2 / 20, 3: 1 / 20}
    expected = [max([max(1, (0.4 / share[label]) ** 0.5) for label in found] or [1]) for found in CLASSES]
    np.testing.assert_allclose(factors, expected)
    assert factors[14] == factors[15] == 2


def test_a_threshold_below_every_class_repeats_nothing():
    assert repeat_factors(CLASSES, 0.05).tolist() == [1] * 20


def test_class_balance_draws_every_class_equally_often():
    """Against drawing a class and then one of its images, many times."""
    weights = class_balance(CLASSES)
    assert weights.sum() == pytest.approx(len(CLASSES))
    assert weights[18] == weights[19] == 1
    random = np.random.default_rng(0)
    holding = {label: [index for index, found in enumerate(CLASSES) if label in found] for label in (1, 2, 3)}
    drawn = np.bincount([random.choice(holding[label]) for label in random.integers(1, 4, 20_000)], minlength=20)
    np.testing.assert_allclose(weights[:18] / 18, drawn[:18] / 20_000, atol=0.01)


@pytest.mark.parametrize("sampling", ["repeat_factor", "class_balanced"])
def test_an_order_uses_images_as_often_as_their_weights_say(sampling):
    weights = image_weights(sampling, CLASSES, 0.4)
    order = Order(len(CLASSES), batch_size=4, seed=1, weights=weights)
    assert order.length == round(weights.sum())
    np.testing.assert_allclose(seen(order, 300) / 300, weights * order.length / weights.sum(), atol=0.1)
    one = np.bincount([order.image_at(position) for position in range(order.length)], minlength=20)
    assert (np.abs(one - weights) < 1.5).all()


def test_uniform_sampling_has_no_weights():
    assert image_weights("uniform", CLASSES, 0.4) is None


def test_counts_are_rounded_up_or_down_and_have_the_sum():
    random = np.random.default_rng(0)
    for _ in range(100):
        weights = random.uniform(0.1, 3, 17)
        total = int(random.integers(1, 60))
        counts = systematic_counts(weights, total, random.uniform())
        expected = weights * total / weights.sum()
        assert counts.sum() == total
        assert (counts >= np.floor(expected - 1e-9)).all()
        assert (counts <= np.ceil(expected + 1e-9)).all()


@pytest.mark.parametrize("weights", [None, "repeat_factor"])
def test_grouped_batches_hold_images_of_one_shape(weights):
    random = np.random.default_rng(2)
    aspects = np.where(random.uniform(size=200) < 0.3, 0.75, 4 / 3)
    weights = None if weights is None else random.uniform(1, 2, 200)
    order = Order(200, batch_size=8, seed=0, weights=weights, aspects=aspects)
    plain = Order(200, batch_size=8, seed=0, weights=weights)
    for turn in range(3):
        mine, theirs = (
            [one.image_at(turn * one.length + place) for place in range(one.length)] for one in (order, plain)
        )
        assert sorted(mine) == sorted(theirs)
    mixed = 0
    for iteration in range(1, 3 * order.length // 8):
        shapes = {float(aspects[index]) for _, index in order.batch(iteration)}
        mixed += len(shapes) > 1
    assert mixed <= 3 * 3  # in each pass: between the two groups, and at both ends
    kinds = [aspects[order.batch(iteration)[0][1]] for iteration in range(1, 20)]
    assert len(set(kinds)) == 2  # the batches themselves are in random order


def test_a_pass_shorter_than_a_batch_is_not_grouped():
    order = Order(3, batch_size=8, seed=0, aspects=np.array([1.0, 2.0, 0.5]))
    found = [index for iteration in (1, 2, 3) for _, index in order.batch(iteration)]
    assert [sorted(found[first : first + 3]) for first in range(0, 24, 3)] == [[0, 1, 2]] * 8
