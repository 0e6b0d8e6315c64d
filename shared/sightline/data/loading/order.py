"""The order of the images: which image is at which position, as a pure function of the seed and the position.

A position counts the images of a training from 0: iteration ``i`` (from 1) uses the positions ``(i - 1) * batch_size``
to ``i * batch_size - 1``, whatever the number of processes.  A pass over the images takes ``length`` positions.
"""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import numpy.typing as npt

_KEPT_PASSES = 2
"""Orders in memory: a batch may contain images of two passes."""


class Order:
    """Images by position, in a random order for each pass.

    The order of a pass is drawn when it is first needed (a few milliseconds for 1,000,000 images), so that the cost of
    a batch does not depend on its iteration.

    Args:
        images: Number of images.
        batch_size: Images per iteration, over all processes.
        seed: Seed of the order.

    Attributes:
        length: Number of positions in a pass.
    """

    def __init__(self, images: int, *, batch_size: int, seed: int) -> None:
        self.length = images
        self._images, self._batch_size, self._seed = images, batch_size, seed
        self._passes: OrderedDict[int, npt.NDArray[np.int64]] = OrderedDict()

    def batch(self, iteration: int) -> list[tuple[int, int]]:
        """The batch of an iteration (from 1): position and image index (from 0) of each of its images."""
        first = (iteration - 1) * self._batch_size
        return [(position, self.image_at(position)) for position in range(first, first + self._batch_size)]

    def image_at(self, position: int) -> int:
        """The index of the image at a position from 0."""
        turn, place = divmod(position, self.length)
        return int(self._order(turn)[place])

    def _order(self, turn: int) -> npt.NDArray[np.int64]:
        if turn not in self._passes:
            self._passes[turn] = self._draw(turn)
            while len(self._passes) > _KEPT_PASSES:
                self._passes.popitem(last=False)
        return self._passes[turn]

    def _draw(self, turn: int) -> npt.NDArray[np.int64]:
        return np.random.default_rng((self._seed, turn)).permutation(self._images)
