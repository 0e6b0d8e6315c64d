"""AdamW, with the learning rate as a function of the iteration."""

from __future__ import annotations

import math

import torch
from torch import nn


def build_optimizer(network: nn.Module, weight_decay: float) -> torch.optim.AdamW:
    """AdamW for the trainable parameters, without weight decay for biases and normalization parameters.

    The learning rate is zero until :func:`set_learning_rate` is called.
    """
    trainable = [parameter for parameter in network.parameters() if parameter.requires_grad]
    groups = [
        {"params": [parameter for parameter in trainable if parameter.ndim > 1], "weight_decay": weight_decay},
        {"params": [parameter for parameter in trainable if parameter.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=0.0, fused=True)


def learning_rate_at(iteration: int, *, peak: float, warmup: int, total: int) -> float:
    """Linear warm-up to ``peak``, then cosine annealing to zero (Loshchilov and Hutter, 2017, without restarts).

    Example:
        >>> [learning_rate_at(i, peak=1.0, warmup=2, total=6) for i in (1, 2, 4, 6)]
        [0.5, 1.0, 0.5, 0.0]

    Args:
        iteration: From 1 to ``total``.
        peak: The highest learning rate.
        warmup: Number of iterations until the peak.
        total: Number of iterations of the whole training.
    """
    if iteration <= warmup:
        return peak * iteration / warmup
    progress = (iteration - warmup) / max(1, total - warmup)
    return peak * (1 + math.cos(math.pi * progress)) / 2


def set_learning_rate(optimizer: torch.optim.Optimizer, learning_rate: float) -> None:
    """Set the learning rate of all parameters."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
