"""The stages of a network's body, counted from the input: for frozen stages and layer decay."""

from __future__ import annotations

import re

from torch import nn

STAGES = 5
"""Stages of a network: 0 is the stem, 1 to 4 are the stages of the body, 5 is everything behind the body."""

_STAGE = re.compile(r"(?:^|[._])(?:layer|layers|stage|stages|blocks)[._]?(\d+)")
_BODY = "backbone.body."


def stage_of(name: str) -> int:
    """The stage of a parameter or buffer by its name in the network, 0 to :data:`STAGES`."""
    if not name.startswith(_BODY):
        return STAGES
    found = _STAGE.search(name.removeprefix(_BODY))
    if found is None:
        return 0
    first = 1 if re.search(r"(?:^|[._])layer[._]?\d", name.removeprefix(_BODY)) else 0  # torchvision counts from 1
    return min(STAGES - 1, int(found.group(1)) + 1 - first)


def freeze(network: nn.Module, *, stages: int, norms: bool) -> None:
    """Freeze parameters: they get no gradient.

    Args:
        network: The network.
        stages: Number of stages from the input, the stem included.
        norms: Whether the parameters of batch norms are frozen too.
    """
    for name, parameter in network.named_parameters():
        if stage_of(name) < stages:
            parameter.requires_grad_(False)
    if norms:
        for module in network.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                for parameter in module.parameters(recurse=False):
                    parameter.requires_grad_(False)


def train_mode(network: nn.Module, *, stages: int, norms: bool) -> None:
    """Set the network to training mode; norms of frozen stages, or all batch norms, keep their statistics."""
    network.train()
    for name, module in network.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and (norms or stage_of(f"{name}.") < stages):
            module.eval()
