"""Builds detectors of boxes from the configuration."""

from __future__ import annotations

from typing import Any

from torch import nn
from torchvision.models.detection.faster_rcnn import FasterRCNN

from sightline.models.backbone import Backbone, build_backbone
from sightline.models.preprocessing import InputBatch, Preprocessing
from sightline.tasks.detection.full_precision import full_precision_outputs
from sightline.tasks.detection.sampling import seed_sampling
from sightline.tasks.detection.two_stages import two_stages
from sightline.tasks.object_detection.settings import BoxDetector
from sightline.tasks.object_detection.single_stage import fcos, retinanet, ssdlite


def build_detector(model: BoxDetector, num_classes: int) -> nn.Module:
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
    detector: Any = _BUILDERS[model.detector](build_backbone(model), model, num_classes)
    seed_sampling(detector)
    full_precision_outputs(detector)
    detector.transform = InputBatch(Preprocessing(model.image_size))
    network: nn.Module = detector
    return network


def _faster_rcnn(backbone: Backbone, model: BoxDetector, num_classes: int) -> FasterRCNN:
    return FasterRCNN(backbone, **two_stages(model, num_classes))


_BUILDERS = {"faster_rcnn": _faster_rcnn, "fcos": fcos, "retinanet": retinanet, "ssdlite": ssdlite}
