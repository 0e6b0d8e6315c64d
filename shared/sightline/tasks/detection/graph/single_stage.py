"""FCOS and RetinaNet as one graph, and what they have in common with SSD."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from sightline.tasks.detection.graph.boxes import (
    Normalization,
    best,
    clip_boxes,
    decode_boxes,
    grid_of_anchors,
    rows_at,
)
from sightline.tasks.detection.graph.suppression import ONNX_TRANSLATIONS, Suppression

REMOVED = -1.0
"""The score of removed boxes."""


class SingleStageGraph(nn.Module):
    """The modules and settings of torchvision's detector without region proposals.

    Args:
        detector: torchvision's detector.
        suppression: The non-maximum suppression.
    """

    outputs = ("boxes", "scores", "labels")
    translations = ONNX_TRANSLATIONS

    def __init__(self, detector: Any, suppression: Suppression) -> None:  # noqa: ANN401
        super().__init__()
        self.normalization = Normalization(detector.transform.mean, detector.transform.std)
        self.any_size: bool = detector.backbone.any_size
        self.backbone, self.head = detector.backbone, detector.head
        self._suppression = suppression
        self._candidates, self._detections = detector.topk_candidates, detector.detections_per_img
        self._threshold, self._iou = detector.score_thresh, detector.nms_thresh
        for level, shapes in enumerate(detector.anchor_generator.cell_anchors):
            self.register_buffer(f"anchors{level}", shapes.clone())

    def features(self, images: torch.Tensor, sizes: torch.Tensor) -> list[torch.Tensor]:
        """The pyramid of a batch: [B, C, H, W] of each level, the finest first."""
        return list(self.backbone(self.normalization(images, sizes)).values())

    def anchors(self, level: int, feature: torch.Tensor, canvas: tuple[int, int]) -> torch.Tensor:
        """The anchors of a level: float [N, 4] xyxy, in input pixels."""
        return grid_of_anchors(feature.shape[2], feature.shape[3], canvas, getattr(self, f"anchors{level}"))


class _SharedHeadGraph(SingleStageGraph):
    """Predicts what a detector with one head for all levels predicts in evaluation mode."""

    def forward(self, images: torch.Tensor, sizes: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Detect objects; as :meth:`sightline.tasks.detection.graph.two_stages.TwoStageGraph.forward`, without masks.

        Label 0 may occur, and has no meaning.
        """
        canvas = images.shape[2], images.shape[3]
        features = self.features(images, sizes)
        levels = [self._of_level(level, feature, canvas) for level, feature in enumerate(features)]
        boxes, scores, labels = (torch.cat(parts, dim=1) for parts in zip(*levels, strict=True))
        boxes = clip_boxes(boxes, sizes)
        classes = self.head.classification_head.num_classes
        is_class = labels[:, None] == torch.arange(classes, device=labels.device)[None, :, None]
        kept = self._suppression(boxes, torch.where(is_class, scores[:, None], REMOVED), self._iou).any(dim=1)
        scores, index = best(torch.where(kept, scores, 0.0), self._detections, 0.0)
        found = scores > 0
        return rows_at(boxes, index) * found[..., None], scores, torch.where(found, labels.gather(1, index), 0)

    def _of_level(
        self, level: int, feature: torch.Tensor, canvas: tuple[int, int]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The candidates of one level: boxes [B, K, 4], scores [B, K] and labels [B, K]."""
        anchors = self.anchors(level, feature, canvas)
        found = self.head([feature])
        scores = self._scores(found)
        classes = scores.shape[2]
        scores = scores.reshape(scores.shape[0], -1)
        scores, index = best(torch.where(scores > self._threshold, scores, REMOVED), self._candidates, REMOVED)
        place = index // classes
        boxes = self._boxes(rows_at(found["bbox_regression"], place), anchors[place])
        return boxes, scores, index % classes

    def _scores(self, found: dict[str, torch.Tensor]) -> torch.Tensor:
        """Probabilities [B, N, C] from the outputs of the head."""
        raise NotImplementedError

    def _boxes(self, regression: torch.Tensor, anchors: torch.Tensor) -> torch.Tensor:
        """Boxes xyxy from the output of the head and anchors, all [B, K, 4]."""
        raise NotImplementedError


class FcosGraph(_SharedHeadGraph):
    """Predicts what torchvision's ``FCOS`` predicts in evaluation mode."""

    def _scores(self, found: dict[str, torch.Tensor]) -> torch.Tensor:
        return (found["cls_logits"].sigmoid() * found["bbox_ctrness"].sigmoid()).sqrt()

    def _boxes(self, regression: torch.Tensor, anchors: torch.Tensor) -> torch.Tensor:
        center = (anchors[..., :2] + anchors[..., 2:]) / 2
        distance = regression * (anchors[..., 2:] - anchors[..., :2]).repeat(1, 1, 2)
        return torch.cat((center - distance[..., :2], center + distance[..., 2:]), dim=-1)


class RetinaNetGraph(_SharedHeadGraph):
    """Predicts what torchvision's ``RetinaNet`` predicts in evaluation mode."""

    def _scores(self, found: dict[str, torch.Tensor]) -> torch.Tensor:
        return found["cls_logits"].sigmoid()

    def _boxes(self, regression: torch.Tensor, anchors: torch.Tensor) -> torch.Tensor:
        return decode_boxes(regression, anchors, (1.0, 1.0, 1.0, 1.0))
