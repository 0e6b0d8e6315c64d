"""Batches by iteration number: the contents of a batch never depend on what was loaded before."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from sightline.data.loading.dataset import CocoDataset, Sample

CACHE_BYTES = 512 * 2**20
"""Memory limit for resized images of all processes together, bytes."""


def batch_indices(seed: int, iteration: int, *, images: int, batch_size: int) -> list[int]:
    """The images of one iteration: every image is used once per pass, in a random order for each pass.

    Args:
        seed: Seed of the order.
        iteration: From 1.
        images: Number of images.
        batch_size: Number of indices to return.

    Returns:
        Indices from 0; a batch may contain images of two passes.
    """
    places = np.arange((iteration - 1) * batch_size, iteration * batch_size)
    passes, places = np.divmod(places, images)
    return [
        int(_order(seed, turn, images)[place]) for turn, place in zip(passes.tolist(), places.tolist(), strict=True)
    ]


@lru_cache(maxsize=2)
def _order(seed: int, turn: int, images: int) -> npt.NDArray[np.int64]:
    """The order of one pass, cached: the cost of a batch does not depend on the number of images."""
    return np.random.default_rng((seed, turn)).permutation(images)


def batches(
    dataset: CocoDataset,
    *,
    batch_size: int,
    seed: int,
    first: int,
    last: int,
    workers: int,
    process: int = 0,
    processes: int = 1,
) -> Iterator[list[Sample]]:
    """The batches of the iterations ``first`` to ``last``, both included.

    Args:
        dataset: The samples.
        batch_size: Samples per batch.
        seed: Seed of the order.
        first: First iteration, from 1.
        last: Last iteration.
        workers: Number of processes that prepare batches in advance; 0: load in the calling process.
        process: This process of the training, from 0.
        processes: Number of processes of the training; each gets its share of the images of every batch.
    """
    source = _BatchSource(dataset, batch_size, seed, process, processes)
    iterations = range(first, last + 1)
    if workers == 0:
        yield from (source[iteration] for iteration in iterations)
        return
    import torch
    from torch.utils.data import DataLoader

    yield from DataLoader(
        source,  # type: ignore[arg-type]  # it has __getitem__, which is sufficient with a list of keys
        batch_size=None,
        sampler=iterations,
        num_workers=workers,
        collate_fn=_as_it_is,
        # A separate generator: the loader draws a seed from it, and the global one is reserved for the network.
        generator=torch.Generator(),
    )


class _BatchSource:
    """Iteration -> batch; can be pickled for another process."""

    def __init__(self, dataset: CocoDataset, batch_size: int, seed: int, process: int, processes: int) -> None:
        self._dataset = dataset
        self._batch_size = batch_size
        self._seed = seed
        self._share = slice(process, None, processes)

    def __getitem__(self, iteration: int) -> list[Sample]:
        indices = batch_indices(self._seed, iteration, images=len(self._dataset), batch_size=self._batch_size)
        return [self._dataset.sample(index, iteration) for index in indices[self._share]]


def _as_it_is(batch: list[Sample]) -> list[Sample]:
    return batch
