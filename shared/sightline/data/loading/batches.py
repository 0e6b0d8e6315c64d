"""Batches by iteration number: the contents of a batch never depend on what was loaded before."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from typing import Any, Literal

from sightline.data.loading.dataset import CocoDataset, Sample
from sightline.data.loading.order import Order
from sightline.data.loading.transport import Failed, Packed, packed
from sightline.data.loading.worker_failure import lost_batches_explained, worker_failures_explained
from sightline.data.loading.workers import PREFETCHED_BATCHES, choose_workers
from sightline.errors import SightlineError
from sightline.processes import end_with_parent, signals_deferred


def batches(
    dataset: CocoDataset,
    *,
    batch_size: int,
    seed: int,
    first: int,
    last: int,
    workers: int | Literal["auto"],
    process: int = 0,
    processes: int = 1,
    local_processes: int | None = None,
    on_gpu: bool = False,
) -> Iterator[list[Sample]]:
    """The batches of the iterations ``first`` to ``last``, both included, or the share of one process of them.

    Args:
        dataset: The samples.
        batch_size: Samples per iteration, over all processes.
        seed: Seed of the order.
        first: First iteration, from 1.
        last: Last iteration.
        workers: Number of processes that prepare batches in advance; 0: load in the calling process; auto: see
            :func:`sightline.data.loading.workers.choose_workers`.
        process: Number of the training process, from 0; it gets the places ``process``, ``process + processes``, ...
            of each batch, and thus fewer samples than the others (even none) if the batch cannot be divided.
        processes: Number of training processes.
        local_processes: Number of those on this machine, which share its CPUs; None: all of them.
        on_gpu: Whether the network is trained on a GPU; the images are then in pinned memory.

    Raises:
        DataError: An image cannot be used.
        StepError: A worker was killed, or an augmentation of the user's own failed.
    """
    order = dataset.order(batch_size, seed)
    share_bytes = dataset.largest_image_bytes * -(-batch_size // processes)
    count = choose_workers(workers, batch_bytes=share_bytes, on_gpu=on_gpu, processes=local_processes or processes)
    iterations = range(first, last + 1)
    source = _BatchSource(dataset, order, process, processes)
    if count == 0:
        yield from (source.samples(iteration) for iteration in iterations)
        return
    import torch
    from torch.utils.data import DataLoader

    loader: DataLoader[Packed | Failed] = DataLoader(
        source,  # type: ignore[arg-type]  # torch needs no more than its __getitem__
        batch_size=None,
        sampler=iterations,
        num_workers=count,
        prefetch_factor=PREFETCHED_BATCHES,
        pin_memory=on_gpu,
        collate_fn=_as_it_is,
        worker_init_fn=partial(_end_with_trainer, os.getpid()),
        # A separate generator: the loader draws a seed from it, and the global one is reserved for the network.
        generator=torch.Generator(),
    )
    arriving: Iterator[Packed | Failed] = iter(())
    try:
        with worker_failures_explained(), signals_deferred():
            arriving = iter(loader)  # starts the workers
        while True:
            with worker_failures_explained(), lost_batches_explained():
                batch: Packed | Failed | None = next(arriving, None)
            if batch is None:
                return
            if isinstance(batch, Failed):
                raise batch.error
            yield batch.unpacked()
    finally:
        del arriving, loader  # ends the workers now, even if the traceback of an error keeps this frame


class _BatchSource:
    """Iteration -> the share of one process of the batch; can be pickled for another process."""

    def __init__(self, dataset: CocoDataset, order: Order, process: int, processes: int) -> None:
        self._dataset, self._order = dataset, order
        self._process, self._processes = process, processes

    def samples(self, iteration: int) -> list[Sample]:
        batch = self._order.batch(iteration)
        canvases = [self._dataset.fitted_size(index) for _, index in batch]
        canvas = max(height for height, _ in canvases), max(width for _, width in canvases)
        share = batch[self._process :: self._processes]
        return [self._dataset.sample(index, position, canvas) for position, index in share]

    def __getitem__(self, iteration: int) -> Packed | Failed:
        try:
            return packed(self.samples(iteration))
        except SightlineError as error:
            return Failed(error)


def _end_with_trainer(trainer: int, worker: int) -> None:  # noqa: ARG001  (torch passes the number of the worker)
    """End a worker whose trainer was killed.

    A worker waits forever for its reader otherwise: it writes into a pipe that it could also read from itself.
    """
    end_with_parent(trainer)


def _as_it_is(batch: Any) -> Any:  # noqa: ANN401  (torch has no type for it)
    return batch
