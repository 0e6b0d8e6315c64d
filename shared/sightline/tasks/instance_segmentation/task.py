"""Instance segmentation: boxes, classes and masks with Mask R-CNN."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from sightline.config.network import Network
from sightline.data.loading.dataset import Sample
from sightline.metrics.coco import Overlap
from sightline.tasks.detection.task import DetectionTask
from sightline.tasks.detection.transformer import load_transformer
from sightline.tasks.detection.transformer_settings import RfDetr
from sightline.tasks.instance_segmentation.network import build_detector
from sightline.tasks.instance_segmentation.settings import MaskDetector


class InstanceSegmentation(DetectionTask):
    """Instance segmentation with Mask R-CNN or RF-DETR, measured by COCO's average precision of boxes and masks."""

    name = "instance_segmentation"
    overlaps: tuple[Overlap, ...] = ("box", "mask")

    def build_network(self, model: Network, num_classes: int) -> nn.Module:
        """Build the network with random weights; ``num_classes`` does not count the background."""
        if isinstance(model, RfDetr):
            return load_transformer(model, num_classes, masks=True)
        assert isinstance(model, MaskDetector)  # noqa: S101
        network: nn.Module = build_detector(model, num_classes)
        return network

    def target(self, sample: Sample, device: torch.device) -> dict[str, Any]:
        """Boxes, labels and ``outlines``, from which the mask loss draws what it needs."""
        return super().target(sample, device) | {"outlines": sample.segmentations}


TASK = InstanceSegmentation()
