"""Outputs of heads and anchors in float32, also under automatic mixed precision.

torchvision decodes boxes in the type of the head's output, and computes anchors in the type of the feature maps.
bfloat16 has 8 bits of precision: at 1,000 pixels, a coordinate would be rounded to a multiple of 4.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_map
from torchvision.models.detection.anchor_utils import AnchorGenerator

_HEADS = {"rpn.head", "roi_heads.box_predictor", "roi_heads.mask_predictor", "roi_heads.keypoint_predictor", "head"}


def full_precision_outputs(detector: nn.Module) -> None:
    """Let the heads of a torchvision detector return float32, and its anchors have that type."""
    for name, module in detector.named_modules():
        if name in _HEADS:
            module.register_forward_hook(_converted)
        if isinstance(module, AnchorGenerator):
            module.register_forward_pre_hook(_with_float_maps)


def _converted(head: nn.Module, inputs: Any, outputs: Any) -> Any:  # noqa: ANN401, ARG001  (the signature of a hook)
    return tree_map(lambda tensor: tensor.float() if torch.is_floating_point(tensor) else tensor, outputs)


def _with_float_maps(generator: nn.Module, inputs: Any) -> Any:  # noqa: ANN401, ARG001  (the signature of a hook)
    images, feature_maps = inputs
    # Only their height, width, type and device are used.
    return images, [feature_map[:1, :1].float() for feature_map in feature_maps]
