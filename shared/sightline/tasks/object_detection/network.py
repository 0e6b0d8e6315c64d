"""Faster R-CNN as the configuration describes it."""

from __future__ import annotations

from torchvision.models.detection.faster_rcnn import FasterRCNN

from sightline.models.backbone import build_backbone
from sightline.models.preprocessing import InputBatch, Preprocessing
from sightline.tasks.detection.two_stages import two_stages
from sightline.tasks.object_detection.declaration import BoxDetector


def build_detector(model: BoxDetector, num_classes: int) -> FasterRCNN:
    """Faster R-CNN with random weights.

    In training it takes images (uint8 [3, H, W], fitted to the input size) and targets (``boxes`` float32 [N, 4] xyxy,
    ``labels`` int64 [N]) and gives its losses by name; in evaluation it gives ``boxes`` (input pixels), ``scores`` and
    ``labels`` an image.

    Args:
        model: The network's part of the configuration.
        num_classes: Without the background, which is label 0.

    Raises:
        ConfigurationError: The backbone is unknown, or its pyramid and the anchor sizes do not fit.
    """
    detector = FasterRCNN(build_backbone(model), **two_stages(model, num_classes))
    detector.transform = InputBatch(Preprocessing(model.image_size))
    return detector
