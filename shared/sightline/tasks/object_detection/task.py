"""Object detection: boxes and classes."""

from __future__ import annotations

from torch import nn

from sightline.config.network import Network
from sightline.tasks.detection.task import DetectionTask
from sightline.tasks.detection.transformer import load_transformer
from sightline.tasks.detection.transformer_settings import RfDetr
from sightline.tasks.object_detection.network import build_detector
from sightline.tasks.object_detection.settings import BoxDetector


class ObjectDetection(DetectionTask):
    """Object detection with a detector of torchvision or RF-DETR, measured by COCO's average precision of boxes.

    The box of a shape of any kind is its extent within the image.
    """

    name = "object_detection"

    def build_network(self, model: Network, num_classes: int) -> nn.Module:
        """Build the detector with random weights; ``num_classes`` does not count the background."""
        if isinstance(model, RfDetr):
            return load_transformer(model, num_classes, masks=False)
        assert isinstance(model, BoxDetector)  # noqa: S101
        return build_detector(model, num_classes)


TASK = ObjectDetection()
