"""The gradients of one batch: in micro-batches that fit the memory of the device, summed over all processes."""

from __future__ import annotations

import logging

import torch

from sightline.engine.state import Training, iteration_seed
from sightline.errors import StepError

_log = logging.getLogger(__name__)


def compute_gradients(training: Training) -> dict[str, float]:
    """Compute the gradients of the mean loss of a batch; they replace earlier ones.

    If the memory of the GPU does not suffice, the micro-batch is halved, and the batch is computed again, so that the
    gradients are those of the same batch.

    Returns:
        The components of the loss by name: means over the images of all processes.

    Raises:
        StepError: The memory does not suffice for a single image.
    """
    while True:
        training.optimizer.zero_grad()
        try:
            sums = _micro_batches(training)
            break
        except torch.OutOfMemoryError as error:
            _halve(training, error)
    training.group.sum_gradients(training.network)
    return training.group.sum_values(sums)


def _micro_batches(training: Training) -> dict[str, torch.Tensor]:
    batch, settings, group = training.batch, training.settings, training.group
    size = training.micro_batch or len(batch)
    sums: dict[str, torch.Tensor] = {}
    for first in range(0, len(batch), size):
        part = batch[first : first + size]
        torch.manual_seed(iteration_seed(training.seed, training.state.iteration, group.rank + first * group.size))
        with training.precision.autocast():
            losses = training.task.losses(training.network, part, training.device)
        share = len(part) / settings.batch_size
        training.precision.backward(torch.stack(list(losses.values())).sum() * share)
        for name, loss in losses.items():
            sums[name] = sums.get(name, 0.0) + loss.detach() * share
    return sums


def _halve(training: Training, error: torch.OutOfMemoryError) -> None:
    size = training.micro_batch or len(training.batch)
    if size == 1:
        raise StepError(
            "the memory of the GPU does not suffice for a single image; set a smaller model.image_size or a smaller "
            f"network, or free the GPU from other processes ({str(error).splitlines()[0]})"
        ) from error
    training.micro_batch = (size + 1) // 2
    if training.device.type == "cuda":
        torch.cuda.empty_cache()
    _log.warning(
        "iteration %d: out of GPU memory with %d images at once; going on with %d at once, and the same batch of %d",
        training.state.iteration,
        size,
        training.micro_batch,
        training.settings.batch_size,
    )
