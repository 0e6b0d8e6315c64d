"""The common parts of Faster R-CNN and Mask R-CNN: region proposals, and a box head on a feature pyramid."""

from __future__ import annotations

import math
from typing import Any

from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.rpn import RPNHead
from torchvision.ops import MultiScaleRoIAlign
from torchvision.ops.poolers import LevelMapper

from sightline.config.network import Detector
from sightline.models.backbone_names import PYRAMID_STRIDES

_BOX_POOL = 7
_SAMPLES = 0
"""Sampling points per bin of region pooling; 0: adaptive, so that small regions are cheap and large ones exact."""


def two_stages(model: Detector, num_classes: int) -> dict[str, Any]:
    """The arguments of torchvision's ``FasterRCNN`` except the backbone, with random weights.

    Args:
        model: The section ``model`` of the configuration.
        num_classes: Number of classes without the background, which is label 0.
    """
    assert model.anchor_sizes != "auto"  # noqa: S101  (the task has fitted them)
    return {
        "rpn_anchor_generator": AnchorGenerator(
            tuple((size,) for size in model.anchor_sizes), (model.anchor_ratios,) * model.pyramid_levels
        ),
        "rpn_head": RPNHead(model.fpn_channels, len(model.anchor_ratios)),
        "rpn_pre_nms_top_n_train": 2 * model.proposals,
        "rpn_pre_nms_top_n_test": model.proposals,
        "rpn_post_nms_top_n_train": model.proposals,
        "rpn_post_nms_top_n_test": model.proposals,
        "box_roi_pool": region_pooling(model, _BOX_POOL),
        "box_head": TwoMLPHead(model.fpn_channels * _BOX_POOL**2, model.head_channels),
        "box_predictor": FastRCNNPredictor(model.head_channels, num_classes + 1),
        "box_score_thresh": model.score_threshold,
        "box_nms_thresh": model.nms_iou,
        "box_detections_per_img": model.max_detections,
        "box_batch_size_per_image": model.sampled_proposals,
        "box_positive_fraction": model.positive_share,
    }


def region_pooling(model: Detector, size: int) -> MultiScaleRoIAlign:
    """Region pooling from the pyramid to maps of ``size`` x ``size``.

    The top level of the pyramid is only used for large anchors; regions are pooled from the other levels.
    """
    strides = PYRAMID_STRIDES[: model.pyramid_levels]
    pooling = MultiScaleRoIAlign([str(level) for level in range(len(strides))], size, _SAMPLES)
    # Otherwise torchvision derives both from the first images, wrongly if these are much smaller than their padding.
    pooling.scales = [1 / stride for stride in strides]
    pooling.map_levels = LevelMapper(*(int(math.log2(stride)) for stride in (strides[0], strides[-1])))
    return pooling
