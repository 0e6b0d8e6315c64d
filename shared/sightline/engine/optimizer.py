"""The optimizer: a class of ``torch.optim`` with groups of parameters, and the learning rate of each iteration."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

import torch
from torch import nn

from sightline.config.train import ParameterGroup, Train
from sightline.errors import ConfigurationError
from sightline.models.stages import STAGES, stage_of

_CLASSES = {name.lower(): getattr(torch.optim, name) for name in dir(torch.optim) if name[:1].isupper()}
_DEFAULTS: dict[str, dict[str, Any]] = {"sgd": {"momentum": 0.9}}
"""Arguments that most trainings give, although the class has other defaults."""

_SCALE = "rate_scale"
"""Key in a group of the optimizer: factor on the learning rate of the training."""


def build_optimizer(network: nn.Module, settings: Train) -> torch.optim.Optimizer:
    """The optimizer of a training, with a learning rate of zero until :func:`set_learning_rate` is called.

    Biases and the parameters of norms have no weight decay.  Parameters with the learning rate 0 are frozen.

    Raises:
        ConfigurationError: An option does not fit the optimizer, or a pattern matches no parameter.
    """
    members: dict[tuple[float, float], list[nn.Parameter]] = defaultdict(list)
    matched: set[str] = set()
    for name, parameter in network.named_parameters():
        group = next(
            (one for one in settings.parameter_groups if re.search(one.match, name)), ParameterGroup(match=".")
        )
        matched.add(group.match)
        if group.learning_rate == 0:
            parameter.requires_grad_(False)
        if parameter.requires_grad:
            scale = group.learning_rate * settings.layer_decay ** (STAGES - stage_of(name))
            members[scale, _weight_decay(parameter, group, settings)].append(parameter)
    unmatched = [group.match for group in settings.parameter_groups if group.match not in matched]
    if unmatched:
        raise ConfigurationError(
            f"train.parameter_groups: {unmatched[0]!r} matches no parameter that an earlier group has not matched; the "
            f"names are like {next(name for name, _ in network.named_parameters())}"
        )
    groups = [
        {"params": parameters, "weight_decay": decay, _SCALE: scale} for (scale, decay), parameters in members.items()
    ]
    if not groups:
        raise ConfigurationError("every parameter of the network is frozen; nothing is left to train")
    return _built(settings, groups)


def _weight_decay(parameter: nn.Parameter, group: ParameterGroup, settings: Train) -> float:
    if parameter.ndim <= 1:
        return 0.0
    return settings.weight_decay if group.weight_decay is None else group.weight_decay


def _built(settings: Train, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    options = _DEFAULTS.get(settings.optimizer, {}) | settings.optimizer_options
    fused = {"fused": True} if settings.optimizer in {"adam", "adamw", "sgd", "adagrad"} else {}
    kind = _CLASSES[settings.optimizer]
    try:
        optimizer: torch.optim.Optimizer = kind(groups, lr=0.0, **({"weight_decay": 0.0} | fused | options))
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            f"train.optimizer_options: {options} do not fit torch.optim.{kind.__name__} ({error}); see its "
            "documentation"
        ) from error
    return optimizer


def set_learning_rate(optimizer: torch.optim.Optimizer, learning_rate: float) -> None:
    """Set the learning rate of the training; each group has its own factor on it."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate * group[_SCALE]
