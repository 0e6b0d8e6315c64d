"""Instance segmentation: boxes, classes and outlines with Mask R-CNN."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from sightline.config.schema import Model
from sightline.data.detections import Detections
from sightline.data.formats.coco import CocoDocument
from sightline.data.loading.dataset import Sample
from sightline.data.rasterizer import rasterize
from sightline.metrics.coco import evaluate_coco
from sightline.metrics.selection import VALIDATION_METRICS
from sightline.models.backbone import Backbone, load_backbone_weights
from sightline.models.model_file import ModelCard
from sightline.models.preprocessing import as_tensor
from sightline.tasks.instance_segmentation.network import build_detector
from sightline.tasks.instance_segmentation.predictor import Predictor


class InstanceSegmentation:
    """Mask R-CNN, measured by COCO's average precision of boxes and masks."""

    name = "instance_segmentation"
    metrics = VALIDATION_METRICS

    def build_network(self, model: Model, num_classes: int) -> nn.Module:
        """Mask R-CNN with random weights; ``num_classes`` without the background."""
        network: nn.Module = build_detector(model, num_classes)
        return network

    def load_backbone(self, network: nn.Module, path: Path) -> None:
        """Put pretrained weights (``.safetensors``) into the backbone of a network.

        Raises:
            ModelFileError: They do not fit.
        """
        backbone = network.get_submodule("backbone")
        assert isinstance(backbone, Backbone)  # noqa: S101
        load_backbone_weights(backbone, path)

    def losses(self, network: nn.Module, batch: Sequence[Sample], device: torch.device) -> dict[str, torch.Tensor]:
        """The five parts of Mask R-CNN's loss; masks are drawn here, at the size of the network's input."""
        images = [as_tensor(sample.image).to(device, non_blocking=True) for sample in batch]
        losses: dict[str, torch.Tensor] = network(images, [_target(sample, device) for sample in batch])
        return {name.removeprefix("loss_"): loss for name, loss in losses.items()}

    def predictor(self, network: nn.Module, card: ModelCard, device: torch.device) -> Predictor:
        """The network as something that looks at images."""
        return Predictor(network, card, device)

    def evaluate(self, truth: CocoDocument, detections: Sequence[Detections]) -> dict[str, float]:
        """``box_AP``, ``box_AP50``, ``box_AP75``, and the same of masks."""
        return dict(evaluate_coco(truth, detections).values)


def _target(sample: Sample, device: torch.device) -> dict[str, torch.Tensor]:
    height, width = sample.image.shape[:2]
    masks = np.zeros((len(sample.labels), height, width), dtype=np.uint8)
    for mask, segmentation in zip(masks, sample.segmentations, strict=True):
        mask[:] = rasterize(segmentation, height, width)
    return {
        "boxes": torch.from_numpy(sample.boxes_xyxy).to(device),
        "labels": torch.from_numpy(sample.labels).to(device),
        "masks": torch.from_numpy(masks).to(device),
    }
