import numpy as np

from sightline.data.loading.order import Order


def indices(order, first, last):
    return [index for iteration in range(first, last + 1) for _, index in order.batch(iteration)]


def test_every_image_comes_once_a_pass():
    seen = indices(Order(7, batch_size=3, seed=5), 1, 7)
    assert sorted(seen[:7]) == sorted(seen[7:14]) == sorted(seen[14:]) == list(range(7))
    assert seen[:7] != seen[7:14]


def test_positions_go_on_from_batch_to_batch():
    order = Order(5, batch_size=3, seed=0)
    assert [position for iteration in (1, 2, 3) for position, _ in order.batch(iteration)] == list(range(9))


def test_a_batch_may_be_larger_than_the_dataset():
    assert sorted(indices(Order(2, batch_size=4, seed=0), 1, 1)) == [0, 0, 1, 1]


def test_order_depends_on_seed_and_iteration_alone():
    fresh, used = Order(50, batch_size=4, seed=1), Order(50, batch_size=4, seed=1)
    indices(used, 1, 90)
    assert used.batch(9) == fresh.batch(9)
    assert used.batch(9) != Order(50, batch_size=4, seed=2).batch(9)


def test_an_order_is_drawn_once_a_pass_however_many_batches_it_has(monkeypatch):
    drawn = []
    generator = np.random.default_rng
    monkeypatch.setattr(np.random, "default_rng", lambda seed: drawn.append(seed) or generator(seed))
    seen = indices(Order(1000, batch_size=5, seed=4), 1, 300)
    assert drawn == [(4, 0), (4, 1)]
    assert sorted(seen[:1000]) == list(range(1000))


def test_the_order_is_that_of_earlier_releases():
    expected = np.random.default_rng((7, 1)).permutation(10).tolist()
    order = Order(10, batch_size=4, seed=7)
    assert indices(order, 4, 4) == expected[2:6]
    assert indices(order, 3, 3)[2:] == expected[:2]
