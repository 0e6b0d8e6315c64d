"""Non-maximum suppression of many groups of boxes at once, as a mask of the boxes that are kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torchvision.ops import nms

Suppression = Callable[[torch.Tensor, torch.Tensor, float], torch.Tensor]
"""Which boxes are kept: boxes [G, N, 4] xyxy, scores [G, C, N], IoU threshold -> bool [G, C, N].

Every group and class is suppressed on its own.  Boxes with a negative score are ignored, and are not kept.
"""

_APART = 1e5
"""Distance between the boxes of two groups, pixels: larger than any image."""


def suppress(boxes: torch.Tensor, scores: torch.Tensor, iou_threshold: float) -> torch.Tensor:
    """The suppression for ``torch.export``: torchvision's operator on all groups, moved apart in float64."""
    classes, count = scores.shape[1:]
    flat = scores.reshape(-1)
    index = torch.nonzero(flat >= 0).squeeze(1)
    box = index // (count * classes) * count + index % count
    apart = boxes.reshape(-1, 4)[box].double() + (index // count).double()[:, None] * _APART
    kept = index[torch.ops.torchvision.nms(apart, flat[index].double(), iou_threshold)]
    return torch.zeros_like(flat, dtype=torch.bool).index_fill(0, kept, True).reshape(scores.shape)


@torch.library.custom_op("sightline::suppress", mutates_args=())
def suppress_in_onnx(boxes: torch.Tensor, scores: torch.Tensor, iou_threshold: float) -> torch.Tensor:
    """The suppression for ONNX: an operator that :func:`onnx_suppression` translates."""
    kept = torch.zeros_like(scores, dtype=torch.bool)
    for group in range(scores.shape[0]):
        for class_ in range(scores.shape[1]):
            index = torch.nonzero(scores[group, class_] >= 0).squeeze(1)
            kept[group, class_, index[nms(boxes[group, index], scores[group, class_, index], iou_threshold)]] = True
    return kept


@suppress_in_onnx.register_fake
def _(boxes: torch.Tensor, scores: torch.Tensor, iou_threshold: float) -> torch.Tensor:  # noqa: ARG001
    return torch.empty_like(scores, dtype=torch.bool)


def onnx_suppression(boxes: Any, scores: Any, iou_threshold: float) -> Any:  # noqa: ANN401  (values of onnxscript)
    """ONNX's ``NonMaxSuppression``, whose rows (group, class, box) are scattered into the mask."""
    from onnx import TensorProto
    from onnxscript import opset18

    op: Any = opset18
    everything, no_minimum = op.Constant(value_ints=[2**62]), op.Constant(value_floats=[-0.5])
    rows = op.NonMaxSuppression(boxes, scores, everything, op.Constant(value_floats=[iou_threshold]), no_minimum)
    nothing = op.Expand(op.Constant(value_int=0), op.Shape(scores))
    ones = op.Expand(op.Constant(value_int=1), op.Shape(op.Gather(rows, op.Constant(value_int=0), axis=1)))
    return op.Cast(op.ScatterND(nothing, rows, ones), to=TensorProto.BOOL)


ONNX_TRANSLATIONS = {torch.ops.sightline.suppress.default: onnx_suppression}
"""Operator -> its translation, for ``torch.onnx.export``."""
