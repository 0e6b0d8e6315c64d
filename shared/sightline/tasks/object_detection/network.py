"""Builds Faster R-CNN and FCOS from the configuration."""

from __future__ import annotations

from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FasterRCNN
from torchvision.models.detection.fcos import FCOS

from sightline.models.backbone import Backbone, build_backbone
from sightline.models.backbone_names import PYRAMID_STRIDES
from sightline.models.preprocessing import InputBatch, Preprocessing
from sightline.tasks.detection.full_precision import full_precision_outputs
from sightline.tasks.detection.sampling import seed_sampling
from sightline.tasks.detection.two_stages import two_stages
from sightline.tasks.object_detection.settings import BoxDetector


def build_detector(model: BoxDetector, num_classes: int) -> FasterRCNN | FCOS:
    """Build the detector given by ``model.detector``, with random weights.

    In training mode it takes images (uint8 [3, H, W], fitted to the input size) and targets (``boxes`` float32 [N, 4]
    xyxy, ``labels`` int64 [N]) and returns its losses by name; in evaluation mode it returns for each image ``boxes``
    (input pixels), ``scores`` and ``labels``.

    Args:
        model: The section ``model`` of the configuration.
        num_classes: Number of classes without the background, which is label 0.

    Raises:
        ConfigurationError: The backbone is unknown, or the number of anchor sizes does not match its pyramid.
    """
    backbone = build_backbone(model)
    if model.detector == "fcos":
        detector = _fcos(backbone, model, num_classes)
    else:
        detector = FasterRCNN(backbone, **two_stages(model, num_classes))
    seed_sampling(detector)
    full_precision_outputs(detector)
    detector.transform = InputBatch(Preprocessing(model.image_size))
    return detector


def _fcos(backbone: Backbone, model: BoxDetector, num_classes: int) -> FCOS:
    """FCOS on the feature pyramid of the backbone.

    torchvision uses labels as class indices, so there is one more class, for label 0, which never occurs.
    """
    strides = (*PYRAMID_STRIDES, 2 * PYRAMID_STRIDES[-1])[: model.pyramid_levels]
    return FCOS(
        backbone,
        num_classes + 1,
        anchor_generator=AnchorGenerator(tuple((stride,) for stride in strides), ((1.0,),) * len(strides)),
        score_thresh=model.score_threshold,
        nms_thresh=model.nms_iou,
        detections_per_img=model.max_detections,
    )
