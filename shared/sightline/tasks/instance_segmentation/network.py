"""Mask R-CNN as the configuration describes it."""

from __future__ import annotations

from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNN, MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.rpn import RPNHead
from torchvision.ops import MultiScaleRoIAlign

from sightline.config.schema import Model
from sightline.models.backbone import build_backbone
from sightline.models.backbone_names import PYRAMID_STRIDES
from sightline.models.preprocessing import InputBatch, Preprocessing

_BOX_POOL = 7
_MASK_POOL = 14
_SAMPLES = 0
"""Points a bin of region pooling: as many as the bin has cells; small regions are cheap and large ones exact."""


def build_detector(model: Model, num_classes: int) -> MaskRCNN:
    """Mask R-CNN with random weights.

    In training it takes images (uint8 [3, H, W], fitted to the input size) and targets (``boxes`` float32 [N, 4] xyxy,
    ``labels`` int64 [N], ``masks`` uint8 [N, H, W]) and gives its losses by name; in evaluation it gives ``boxes``
    (input pixels), ``scores``, ``labels`` and ``masks`` (float32 [N, 1, 28, 28], probabilities in the box) an image.

    Args:
        model: The network's part of the configuration.
        num_classes: Without the background, which is label 0.

    Raises:
        ConfigurationError: The backbone is unknown, or its pyramid and the anchor sizes do not fit.
    """
    backbone = build_backbone(model)
    levels = len(model.anchor_sizes)
    anchors = AnchorGenerator(tuple((size,) for size in model.anchor_sizes), (model.anchor_ratios,) * levels)
    # The map on top of the pyramid serves large anchors alone; regions are pooled from the others.
    pooled = [str(level) for level in range(min(levels, len(PYRAMID_STRIDES)))]
    detector = MaskRCNN(
        backbone,
        rpn_anchor_generator=anchors,
        rpn_head=RPNHead(model.fpn_channels, len(model.anchor_ratios)),
        rpn_pre_nms_top_n_train=2 * model.proposals,
        rpn_pre_nms_top_n_test=model.proposals,
        rpn_post_nms_top_n_train=model.proposals,
        rpn_post_nms_top_n_test=model.proposals,
        box_roi_pool=MultiScaleRoIAlign(pooled, _BOX_POOL, _SAMPLES),
        box_head=TwoMLPHead(model.fpn_channels * _BOX_POOL**2, model.head_channels),
        box_predictor=FastRCNNPredictor(model.head_channels, num_classes + 1),
        box_score_thresh=model.score_threshold,
        box_nms_thresh=model.nms_iou,
        box_detections_per_img=model.max_detections,
        box_batch_size_per_image=model.sampled_proposals,
        box_positive_fraction=model.positive_share,
        mask_roi_pool=MultiScaleRoIAlign(pooled, _MASK_POOL, _SAMPLES),
        mask_head=MaskRCNNHeads(model.fpn_channels, (model.mask_channels,) * model.mask_layers, 1),
        mask_predictor=MaskRCNNPredictor(model.mask_channels, model.mask_channels, num_classes + 1),
    )
    detector.transform = InputBatch(Preprocessing(model.image_size))
    return detector
