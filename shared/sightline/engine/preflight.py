"""Checks before the first step: what a training will need, and whether it can learn at all."""

from __future__ import annotations

import logging
import shutil

import psutil
import torch

from sightline.engine.checkpoints import KEPT
from sightline.engine.gradients import compute_gradients
from sightline.engine.optimizer import build_optimizer, set_learning_rate
from sightline.engine.precision import clip_gradients
from sightline.engine.state import Training
from sightline.errors import ConfigurationError, StepError

SANITY_ITERATIONS = 60
SANITY_FACTOR = 0.5
"""The loss on one batch must fall to this fraction of its first value."""

SURPRISING_FACTOR = 3.0
"""A first loss that is this much larger than expected is a reason for a warning."""

_GIB = 2**30

_log = logging.getLogger(__name__)


def check_feasible(training: Training) -> None:
    """Estimate memory and disk space, log them, and reject a training that cannot succeed.

    Raises:
        ConfigurationError: The warm-up is longer than the training.
        StepError: Disk or memory does not suffice.
    """
    settings, group = training.settings, training.group
    if settings.warmup_iterations > training.total:
        raise ConfigurationError(
            f"train.warmup_iterations: {settings.warmup_iterations} is more than the {training.total} iterations of "
            f"train.epochs = {settings.epochs:g}; shorten the warm-up, for example "
            f"--set train.warmup_iterations={max(1, training.total // 10)}"
        )
    weights = sum(tensor.numel() * tensor.element_size() for tensor in training.network.state_dict().values())
    trained = sum(one.numel() * one.element_size() for one in training.network.parameters() if one.requires_grad)
    averaged = weights if settings.hooks.ema.decay else 0
    memory = weights + averaged + 3 * trained  # gradients, and two moments of the optimizer
    checkpoint = weights + averaged + 2 * trained
    disk = (KEPT + 1) * checkpoint + (settings.keep_best + 3) * weights
    free = shutil.disk_usage(training.files).free
    _log.info(
        "needs %.2f GiB of disk for checkpoints and models (%.1f free), and %.2f GiB of memory besides the images",
        disk / _GIB,
        free / _GIB,
        memory / _GIB,
    )
    if disk > free and group.is_first:
        raise StepError(
            f"the checkpoints and models need {disk / _GIB:.1f} GiB, but {free / _GIB:.1f} GiB are free at "
            f"{training.files}; free some space (sightline gc), or set work.dir to a larger volume"
        )
    available = _memory_of(training.device)
    if memory > available:
        raise StepError(
            f"weights, gradients and optimizer need {memory / _GIB:.1f} GiB, but {training.device} has "
            f"{available / _GIB:.1f} GiB; choose a smaller network, or another device"
        )


def _memory_of(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    return psutil.virtual_memory().available


def check_first_losses(training: Training) -> None:
    """Compare the losses of the first iteration with those of a network that knows nothing; log a warning if larger."""
    expected = training.task.initial_losses(training.card.architecture, len(training.card.classes))
    for name, value in expected.items():
        found = training.losses.get(name, 0.0)
        if found > SURPRISING_FACTOR * value:
            _log.warning(
                "the first %s loss is %.2f, but a network that knows nothing has about %.2f; check the labels, the "
                "initial weights (model.weights) and the learning rate",
                name,
                found,
                value,
            )


def overfit_one_batch(training: Training) -> None:
    """Train on one batch alone, to see that the network can learn; weights and optimizer are as before afterwards.

    Raises:
        StepError: The loss does not fall.
    """
    kept = {name: tensor.detach().cpu().clone() for name, tensor in training.network.state_dict().items()}
    optimizer = training.optimizer
    training.batch = next(training.batches(workers=0))
    training.optimizer = build_optimizer(training.network, training.settings)
    set_learning_rate(training.optimizer, training.settings.learning_rate)
    training.state.iteration = 1
    losses = []
    for _ in range(SANITY_ITERATIONS):
        losses.append(sum(compute_gradients(training).values()))
        training.precision.unscale(training.optimizer)
        clip_gradients(training.network, training.settings.clip_norm)
        training.precision.step(training.optimizer)
    training.state.iteration = 0
    training.network.load_state_dict(kept)
    training.optimizer = optimizer
    _log.info("one batch: loss %.3f, after %d iterations on it %.3f", losses[0], SANITY_ITERATIONS, losses[-1])
    if not losses[-1] < SANITY_FACTOR * losses[0]:
        raise StepError(
            f"the network cannot learn one batch: its loss is {losses[0]:.3f}, and {losses[-1]:.3f} after "
            f"{SANITY_ITERATIONS} iterations on the same images; check the annotations (sightline data preview), and "
            "try a larger or smaller train.learning_rate"
        )
