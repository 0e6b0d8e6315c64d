"""Batches by the number of the iteration: what a batch holds never depends on what was loaded before."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from sightline.data.loading.dataset import CocoDataset, Sample

CACHE_BYTES = 512 * 2**20
"""Memory for fitted images, all processes together."""


def batch_indices(seed: int, iteration: int, *, images: int, batch_size: int) -> list[int]:
    """The images of one iteration: every image comes once before any comes again, in an order drawn for each pass.

    Args:
        seed: Of the order.
        iteration: From 1 on.
        images: How many images there are.
        batch_size: How many are asked for.

    Returns:
        Indices from 0 on; where passes meet, a batch holds images of both.
    """
    places = np.arange((iteration - 1) * batch_size, iteration * batch_size)
    passes, places = np.divmod(places, images)
    return [
        int(_order(seed, turn, images)[place]) for turn, place in zip(passes.tolist(), places.tolist(), strict=True)
    ]


@lru_cache(maxsize=2)
def _order(seed: int, turn: int, images: int) -> npt.NDArray[np.int64]:
    """The order of one pass, drawn once a pass and kept: a batch costs the same however many images there are."""
    return np.random.default_rng((seed, turn)).permutation(images)


def batches(
    dataset: CocoDataset, *, batch_size: int, seed: int, first: int, last: int, workers: int
) -> Iterator[list[Sample]]:
    """The batches of the iterations ``first`` to ``last``, both included.

    Args:
        dataset: The samples.
        batch_size: Samples a batch.
        seed: Of the order.
        first: From 1 on.
        last: Of the whole training.
        workers: Processes that prepare batches ahead; 0: the caller's own.
    """
    source = _BatchSource(dataset, batch_size, seed)
    iterations = range(first, last + 1)
    if workers == 0:
        yield from (source[iteration] for iteration in iterations)
        return
    import torch
    from torch.utils.data import DataLoader

    yield from DataLoader(
        source,  # type: ignore[arg-type]  # it has __getitem__, which is all that a list of keys needs
        batch_size=None,
        sampler=iterations,
        num_workers=workers,
        collate_fn=_as_it_is,
        # A generator of its own: the loader draws a seed from it, and the global one belongs to the network.
        generator=torch.Generator(),
    )


class _BatchSource:
    """Iteration -> batch, in a form that can be sent to another process."""

    def __init__(self, dataset: CocoDataset, batch_size: int, seed: int) -> None:
        self._dataset = dataset
        self._batch_size = batch_size
        self._seed = seed

    def __getitem__(self, iteration: int) -> list[Sample]:
        indices = batch_indices(self._seed, iteration, images=len(self._dataset), batch_size=self._batch_size)
        return [self._dataset.sample(index, iteration) for index in indices]


def _as_it_is(batch: list[Sample]) -> list[Sample]:
    return batch
