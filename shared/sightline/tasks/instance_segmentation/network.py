"""Builds Mask R-CNN from the configuration."""

from __future__ import annotations

from torchvision.models.detection.mask_rcnn import MaskRCNN, MaskRCNNHeads, MaskRCNNPredictor

from sightline.models.backbone import build_backbone
from sightline.models.preprocessing import InputBatch, Preprocessing
from sightline.tasks.detection.full_precision import full_precision_outputs
from sightline.tasks.detection.sampling import seed_sampling
from sightline.tasks.detection.two_stages import region_pooling, two_stages
from sightline.tasks.instance_segmentation.late_masks import LateMaskHeads
from sightline.tasks.instance_segmentation.settings import MaskDetector

_MASK_POOL = 14


def build_detector(model: MaskDetector, num_classes: int) -> MaskRCNN:
    """Build Mask R-CNN with random weights.

    In training mode it takes images (uint8 [3, H, W], fitted to the input size) and targets (``boxes`` float32 [N, 4]
    xyxy, ``labels`` int64 [N], ``outlines``: N polygons or run-length encodings) and returns its losses by name; in
    evaluation mode it returns for each image ``boxes`` (input pixels), ``scores``, ``labels`` and ``masks`` (float32
    [N, 1, 28, 28], probabilities within the box).

    Args:
        model: The section ``model`` of the configuration.
        num_classes: Number of classes without the background, which is label 0.

    Raises:
        ConfigurationError: The backbone is unknown, or the number of anchor sizes does not match its pyramid.
    """
    # Do not reorder: the order determines the random weights of a seed.
    backbone = build_backbone(model)
    stages = two_stages(model, num_classes)
    detector = MaskRCNN(
        backbone,
        **stages,
        mask_roi_pool=region_pooling(model, _MASK_POOL),
        mask_head=MaskRCNNHeads(model.fpn_channels, (model.mask_channels,) * model.mask_layers, 1),
        mask_predictor=MaskRCNNPredictor(model.mask_channels, model.mask_channels, num_classes + 1),
    )
    detector.roi_heads = LateMaskHeads.of(detector.roi_heads)
    seed_sampling(detector)
    full_precision_outputs(detector)
    detector.transform = InputBatch(Preprocessing(model.image_size))
    return detector
