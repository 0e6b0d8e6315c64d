"""The order of the images: which image is at which position, as a pure function of the seed and the position.

A position counts the images of a training from 0: iteration ``i`` (from 1) uses the positions ``(i - 1) * batch_size``
to ``i * batch_size - 1``, whatever the number of processes.  A pass over the images takes ``length`` positions.
"""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import numpy.typing as npt

from sightline.data.loading.sampling import systematic_counts

_KEPT_PASSES = 2
"""Orders in memory: a batch may contain images of two passes."""

_STEPS_PER_DOUBLING = 2
"""Shapes are grouped by width / height: groups within a factor of the square root of 2, from tall to wide."""

Indices = npt.NDArray[np.int64]


class Order:
    """Images by position, in a random order for each pass.

    The order of a pass is drawn when it is first needed (milliseconds for 1,000,000 images), so that the cost of a
    batch does not depend on its iteration.

    Args:
        images: Number of images.
        batch_size: Images per iteration, over all processes.
        seed: Seed of the order.
        weights: float64 [images], how often each image is used in a pass, on average; None: each once.
        aspects: float64 [images], width / height of each image, to fill batches with images of similar shape; None: at
            random.

    Attributes:
        length: Number of positions in a pass.
    """

    def __init__(
        self,
        images: int,
        *,
        batch_size: int,
        seed: int,
        weights: npt.NDArray[np.float64] | None = None,
        aspects: npt.NDArray[np.float64] | None = None,
    ) -> None:
        self.length = images if weights is None else max(1, round(float(weights.sum())))
        self._images, self._batch_size, self._seed, self._weights = images, batch_size, seed, weights
        self._groups = None if aspects is None else _groups(aspects)
        self._passes: OrderedDict[int, Indices] = OrderedDict()

    def batch(self, iteration: int) -> list[tuple[int, int]]:
        """The batch of an iteration (from 1): position and image index (from 0) of each of its images."""
        first = (iteration - 1) * self._batch_size
        return [(position, self.image_at(position)) for position in range(first, first + self._batch_size)]

    def image_at(self, position: int) -> int:
        """The index of the image at a position from 0."""
        turn, place = divmod(position, self.length)
        return int(self._order(turn)[place])

    def _order(self, turn: int) -> Indices:
        if turn not in self._passes:
            self._passes[turn] = self._draw(turn)
            while len(self._passes) > _KEPT_PASSES:
                self._passes.popitem(last=False)
        return self._passes[turn]

    def _draw(self, turn: int) -> Indices:
        random = np.random.default_rng((self._seed, turn))
        if self._weights is None:
            order = random.permutation(self._images)
        else:
            counts = systematic_counts(self._weights, self.length, random.uniform())
            order = random.permutation(np.repeat(np.arange(self._images), counts))
        return order if self._groups is None else self._grouped(order, turn, random)

    def _grouped(self, order: Indices, turn: int, random: np.random.Generator) -> Indices:
        """The same images, rearranged so that the batches that lie within the pass hold images of similar shape."""
        assert self._groups is not None  # noqa: S101
        first = -turn * self.length % self._batch_size  # positions that belong to a batch of the pass before
        batches = max(0, self.length - first) // self._batch_size
        last = first + batches * self._batch_size
        whole = order[first:last]
        whole = whole[np.argsort(self._groups[whole], kind="stable")].reshape(batches, self._batch_size)
        return np.concatenate([order[:first], whole[random.permutation(batches)].ravel(), order[last:]])


def _groups(aspects: npt.NDArray[np.float64]) -> npt.NDArray[np.int8]:
    """The group of each image by its shape, from tall to wide."""
    steps = np.rint(_STEPS_PER_DOUBLING * np.log2(aspects))
    groups: npt.NDArray[np.int8] = np.clip(steps, -100, 100).astype(np.int8)
    return groups
