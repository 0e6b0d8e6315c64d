"""Tensor names of other libraries, translated to those of a network of Sightline."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import torch
from torch import nn

from sightline.models.backbone import Backbone, TimmBody
from sightline.models.weights.timm_models import body_tensors

Tensors = Mapping[str, torch.Tensor]

_BODY = "backbone.body."
_NORM_EPSILON = 1e-5
_SMALL_VARIANCE = 1e-3

_OLD_NAMES = (
    (re.compile(r"(backbone\.fpn\.(?:inner|layer)_blocks\.\d+)\.(weight|bias)"), r"\1.0.\2"),
    (re.compile(r"rpn\.head\.conv\.(weight|bias)"), r"rpn.head.conv.0.0.\1"),
)
"""Names in the detectors that torchvision published before its version 0.13, and what they are called since then.

torchvision translates them itself when it loads a state dict (``_load_from_state_dict`` of each module).
"""
_OLD_MASK_LAYER = re.compile(r"roi_heads\.mask_head\.mask_fcn(\d+)\.(weight|bias)")
_PYRAMID_BLOCK = re.compile(r"(backbone\.fpn\.(?:inner|layer)_blocks)\.(\d+)\.(.+)")


@runtime_checkable
class OwnNames(Protocol):
    """A network that knows how its publisher names its tensors.

    Attributes:
        body_prefix: The beginning of the names of all tensors of its body.
    """

    body_prefix: str

    def in_own_names(self, tensors: Tensors) -> Tensors:
        """Tensors of its publisher, or of a network like it, with its own names and in its own shapes."""
        ...


def find_backbone(network: nn.Module) -> tuple[str, Backbone] | None:
    """The backbone of a network, after the beginning of the names of its tensors, such as ``backbone.``.

    Returns:
        None if the network has no backbone.
    """
    for name, module in network.named_modules():
        if isinstance(module, Backbone):
            return f"{name}." if name else "", module
    return None


def body_prefix(network: nn.Module) -> str:
    """The beginning of the names of all tensors of the body; empty if the network has no backbone."""
    if isinstance(network, OwnNames):
        return network.body_prefix
    found = find_backbone(network)
    return f"{found[0]}body." if found else ""


def in_our_names(tensors: Tensors, network: nn.Module) -> Tensors:
    """Tensors of a detector or classifier of torchvision, of a timm model, or of RF-DETR, with the names of a network.

    Tensors with other names keep them.

    Args:
        tensors: The tensors of a file.
        network: The network that will take them.
    """
    if isinstance(network, OwnNames):
        return network.in_own_names(tensors)
    found = find_backbone(network)
    if found is None:
        return tensors
    prefix, backbone = found
    if any(name.startswith((_BODY, prefix + "body.")) for name in tensors):
        return _shifted_pyramid({_new_name(name): tensor for name, tensor in tensors.items()}, backbone)
    if not isinstance(backbone.body, TimmBody):
        return {f"{prefix}body.{name}": tensor for name, tensor in tensors.items()}
    if not backbone.body.network.state_dict().keys() <= tensors.keys():
        tensors = body_tensors(backbone.body.create, tensors)
    return {f"{prefix}body.network.{name}": tensor for name, tensor in tensors.items()}


def without_epsilon(tensors: Tensors) -> Tensors:
    """Tensors of a detector whose frozen norms had an epsilon of 0, for norms with the usual one of 1e-5.

    A norm computes ``weight / sqrt(running_var + epsilon)``.  The epsilon is taken from the variance, or, if that is so
    small that the difference would be inexact, the weight makes up for it.  torchvision loads its first detectors into
    norms without epsilon (https://github.com/pytorch/vision/pull/2940), which a model file could not say.
    """
    changed = dict(tensors)
    for name, variance in tensors.items():
        stem = name.removesuffix("running_var")
        if stem == name or f"{stem}weight" not in tensors:
            continue
        weight, exact = tensors[f"{stem}weight"], variance.double()
        is_small = exact < _SMALL_VARIANCE
        corrected = weight.double() * ((exact + _NORM_EPSILON) / exact).sqrt()
        changed[name] = torch.where(is_small, exact, exact - _NORM_EPSILON).to(variance.dtype)
        changed[f"{stem}weight"] = torch.where(is_small, corrected, weight.double()).to(weight.dtype)
    return changed


def _new_name(name: str) -> str:
    for old, new in _OLD_NAMES:
        if old.fullmatch(name):
            return old.sub(new, name)
    if match := _OLD_MASK_LAYER.fullmatch(name):
        return f"roi_heads.mask_head.{int(match[1]) - 1}.0.{match[2]}"
    return name


def _shifted_pyramid(tensors: Tensors, backbone: Backbone) -> Tensors:
    """A pyramid without the finest level, such as that of torchvision's FCOS, is aligned at the coarsest level."""
    blocks = {int(match[2]) for name in tensors if (match := _PYRAMID_BLOCK.fullmatch(name))}
    shift = len(backbone.fpn.inner_blocks) - len(blocks)
    if not blocks or shift <= 0:
        return tensors

    def moved(name: str) -> str:
        match = _PYRAMID_BLOCK.fullmatch(name)
        return f"{match[1]}.{int(match[2]) + shift}.{match[3]}" if match else name

    return {moved(name): tensor for name, tensor in tensors.items()}
