"""Weights of a timm model, translated by timm itself to the names of the same model without its last layers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import nn

from sightline.errors import ModelFileError
from sightline.plural import counted

_SHOWN_NAMES = 10
_STATISTICS = ("running_mean", "running_var")


def body_tensors(create: Callable[..., nn.Module], tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors of a body of timm, from a state dict that timm can load into the whole model.

    timm knows how to rename the tensors of original publications, and how to resize position embeddings.  It leaves
    tensors that are missing in a file as they are, so the names are first checked with a copy full of NaN.

    Args:
        create: Creates the body; takes more arguments of ``timm.create_model``.
        tensors: The state dict.

    Raises:
        ModelFileError: timm cannot load the tensors into this model, or some are missing.
    """
    blank = {
        name: torch.full_like(tensor, torch.nan) if tensor.is_floating_point() else tensor
        for name, tensor in tensors.items()
    }
    missing = [name for name, tensor in _learned(_loaded(create, blank)).items() if not tensor.isnan().all()]
    if missing:
        more = ", ..." if len(missing) > _SHOWN_NAMES else ""
        raise ModelFileError(
            f"the weights lack {counted(len(missing), 'tensor')} of the backbone: {', '.join(missing[:_SHOWN_NAMES])}"
            f"{more}; use weights of the timm model given by model.backbone"
        )
    return dict(_loaded(create, tensors).state_dict())


def _loaded(create: Callable[..., nn.Module], tensors: Mapping[str, torch.Tensor]) -> nn.Module:
    """A body with these weights."""
    with torch.random.fork_rng(devices=[]), _quiet_timm():
        try:
            return create(pretrained=True, pretrained_cfg_overlay={"state_dict": dict(tensors), "custom_load": False})
        except (RuntimeError, LookupError, ValueError, AttributeError) as error:
            said = " ".join(str(error).split())[:500]
            reason = f"it looks for {said}" if isinstance(error, LookupError) else said
            raise ModelFileError(
                f"timm cannot load the weights ({reason}); use weights of the timm model given by model.backbone"
            ) from error


def _learned(network: nn.Module) -> dict[str, torch.Tensor]:
    """Parameters, and the statistics of norms."""
    statistics = {name: buffer for name, buffer in network.named_buffers() if name.endswith(_STATISTICS)}
    return {**{name: parameter.detach() for name, parameter in network.named_parameters()}, **statistics}


@contextmanager
def _quiet_timm() -> Iterator[None]:
    """Silence timm's list of tensors that the model as a source of feature maps does not have."""
    logger = logging.getLogger("timm")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
