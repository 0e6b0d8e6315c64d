"""Batches by iteration number: the contents of a batch never depend on what was loaded before."""

from __future__ import annotations

from collections.abc import Iterator

from sightline.data.loading.dataset import CocoDataset, Sample
from sightline.data.loading.order import Order

CACHE_BYTES = 512 * 2**20
"""Memory limit for resized images of all processes together, bytes."""


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
    """The batches of the iterations ``first`` to ``last``, both included, or the share of one process of them.

    Args:
        dataset: The samples.
        batch_size: Samples per iteration, over all processes.
        seed: Seed of the order.
        first: First iteration, from 1.
        last: Last iteration.
        workers: Number of processes that prepare batches in advance; 0: load in the calling process.
        process: Number of the training process, from 0; it gets the places ``process``, ``process + processes``, ...
            of each batch, and thus fewer samples than the others (even none) if the batch cannot be divided.
        processes: Number of training processes.
    """
    source = _BatchSource(dataset, Order(len(dataset), batch_size=batch_size, seed=seed), process, processes)
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
    """Iteration -> the share of one process of the batch; can be pickled for another process."""

    def __init__(self, dataset: CocoDataset, order: Order, process: int, processes: int) -> None:
        self._dataset, self._order = dataset, order
        self._process, self._processes = process, processes

    def __getitem__(self, iteration: int) -> list[Sample]:
        batch = self._order.batch(iteration)
        canvases = [self._dataset.fitted_size(index) for _, index in batch]
        canvas = max(height for height, _ in canvases), max(width for _, width in canvases)
        share = batch[self._process :: self._processes]
        return [self._dataset.sample(index, position, canvas) for position, index in share]


def _as_it_is(batch: list[Sample]) -> list[Sample]:
    return batch
