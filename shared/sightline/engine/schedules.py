"""Learning-rate schedules as pure functions of the iteration, so that a resumed training needs no state of theirs.

The factors are those of PyTorch's schedulers of the same names (``torch.optim.lr_scheduler``), after the warm-up.
"""

from __future__ import annotations

import math

from sightline.config.train import Schedule

ONE_CYCLE_START = 1 / 25
ONE_CYCLE_END = ONE_CYCLE_START / 1e4
ONE_CYCLE_RISE = 0.3


def rate_factor(schedule: Schedule, iteration: int, *, warmup: int, total: int) -> float:
    """The learning rate of an iteration, relative to the peak.

    Example:
        >>> [rate_factor(Schedule(), i, warmup=2, total=6) for i in (1, 2, 4, 6)]
        [0.5, 1.0, 0.5, 0.0]

    Args:
        schedule: The settings.
        iteration: From 1 to ``total``.
        warmup: Number of iterations until the peak.
        total: Number of iterations of the whole training.
    """
    if schedule.name == "one_cycle":
        return _one_cycle(iteration, warmup or max(1, round(ONE_CYCLE_RISE * total)), total)
    if iteration <= warmup:
        return schedule.warmup_start + (1 - schedule.warmup_start) * iteration / warmup
    progress = (iteration - warmup) / max(1, total - warmup)
    falls = 0
    if schedule.name == "cosine":
        return _along_cosine(1.0, schedule.final, progress)
    if schedule.name == "polynomial":
        return schedule.final + (1 - schedule.final) * float(max(0.0, 1 - progress) ** schedule.power)
    if schedule.name == "step":
        falls = (iteration - 1) // schedule.step
    elif schedule.name == "multi_step":
        falls = sum(iteration > milestone for milestone in schedule.milestones)
    return float(schedule.gamma**falls)


def _one_cycle(iteration: int, rise: int, total: int) -> float:
    """Smith and Topin, 2017 (arXiv 1708.07120), with the defaults of PyTorch's ``OneCycleLR``."""
    if iteration <= rise:
        return _along_cosine(ONE_CYCLE_START, 1.0, iteration / rise)
    return _along_cosine(1.0, ONE_CYCLE_END, (iteration - rise) / max(1, total - rise))


def _along_cosine(first: float, last: float, progress: float) -> float:
    """Cosine annealing (Loshchilov and Hutter, 2017, without restarts); ``progress`` is 0 to 1."""
    return last + (first - last) * (1 + math.cos(math.pi * min(1.0, progress))) / 2
