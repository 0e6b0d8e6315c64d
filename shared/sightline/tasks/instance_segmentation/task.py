"""Instance segmentation: boxes, classes and masks with Mask R-CNN."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from sightline.config.network import Network
from sightline.data.loading.dataset import Sample
from sightline.data.rasterizer import rasterize
from sightline.metrics.coco import Overlap
from sightline.tasks.detection.task import DetectionTask
from sightline.tasks.instance_segmentation.network import build_detector
from sightline.tasks.instance_segmentation.settings import MaskDetector


class InstanceSegmentation(DetectionTask):
    """Instance segmentation with Mask R-CNN, measured by COCO's average precision of boxes and masks."""

    name = "instance_segmentation"
    overlaps: tuple[Overlap, ...] = ("box", "mask")

    def build_network(self, model: Network, num_classes: int) -> nn.Module:
        """Build Mask R-CNN with random weights; ``num_classes`` does not count the background."""
        assert isinstance(model, MaskDetector)  # noqa: S101
        network: nn.Module = build_detector(model, num_classes)
        return network

    def target(self, sample: Sample, device: torch.device) -> dict[str, torch.Tensor]:
        """Boxes, labels and ``masks`` uint8 [N, height, width], rasterized at the input size of the network."""
        height, width = sample.image.shape[:2]
        masks = np.zeros((len(sample.labels), height, width), dtype=np.uint8)
        for mask, segmentation in zip(masks, sample.segmentations, strict=True):
            mask[:] = rasterize(segmentation, height, width)
        return super().target(sample, device) | {"masks": torch.from_numpy(masks).to(device)}


TASK = InstanceSegmentation()
