"""The range test of learning rates (Smith, 2015, arXiv 1506.01186): rates that lower the loss, and those too high."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sightline.engine.gradients import compute_gradients
from sightline.engine.optimizer import set_learning_rate
from sightline.engine.precision import clip_gradients
from sightline.engine.state import Training
from sightline.errors import StepError
from sightline.logs import Progress

SMOOTHING = 0.9
"""Weight of the past in the smoothed loss."""

DIVERGED = 3.0
"""The test ends when the smoothed loss is this many times the lowest one."""

MARGIN = 10.0
"""The suggested rate is the one with the lowest loss, divided by this; the loss there still falls."""


@dataclass(frozen=True, slots=True)
class RateTest:
    """The result of a range test.

    Attributes:
        rates: Learning rates, rising.
        losses: Smoothed loss at each rate.
        suggested: The suggested ``train.learning_rate``.
        ended_early: Whether the loss diverged before the highest rate.
    """

    rates: list[float]
    losses: list[float]
    suggested: float
    ended_early: bool


def find_rate(training: Training, *, lowest: float = 1e-6, highest: float = 1.0, steps: int = 100) -> RateTest:
    """Train with a rate that rises exponentially, one batch per rate; the weights are of no use afterwards.

    Args:
        training: A training that has not begun.
        lowest: First rate.
        highest: Last rate, unless the loss diverges before.
        steps: Number of rates.

    Raises:
        StepError: The loss is not finite at the lowest rates.
    """
    rates: list[float] = []
    losses: list[float] = []
    average = 0.0
    training.network.train()
    with Progress("try learning rates", total=steps, unit="steps") as progress:
        for step, batch in zip(progress.track(range(steps)), training.batches(workers=0), strict=False):
            training.state.iteration, training.batch = step + 1, batch
            rate = lowest * (highest / lowest) ** (step / max(1, steps - 1))
            set_learning_rate(training.optimizer, rate)
            loss = sum(compute_gradients(training).values())
            average = SMOOTHING * average + (1 - SMOOTHING) * loss
            smoothed = average / (1 - SMOOTHING ** (step + 1))
            if not math.isfinite(loss) or (losses and smoothed > DIVERGED * min(losses)):
                break
            rates.append(rate)
            losses.append(smoothed)
            training.precision.unscale(training.optimizer)
            clip_gradients(training.network, training.settings.clip_norm)
            training.precision.step(training.optimizer)
    if len(losses) < 2:
        raise StepError(f"the loss is not finite at the learning rate {lowest:g}; check the images and the annotations")
    best = rates[min(range(len(losses)), key=losses.__getitem__)]
    return RateTest(rates, losses, float(f"{best / MARGIN:.1e}"), ended_early=len(rates) < steps)
