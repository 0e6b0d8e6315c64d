"""SSD as one graph."""

from __future__ import annotations

from typing import Any

import torch

from sightline.tasks.detection.graph.boxes import (
    best,
    clip_boxes,
    decode_boxes,
    rows_at,
)
from sightline.tasks.detection.graph.single_stage import REMOVED, SingleStageGraph
from sightline.tasks.detection.graph.suppression import Suppression


class SingleShotGraph(SingleStageGraph):
    """Predicts what torchvision's SSD predicts in evaluation mode.

    Unlike RetinaNet, it has a head for each level, a background, and as many candidates of each class in all levels.

    Args:
        detector: torchvision's ``SSD`` with an ``AnchorGenerator``.
        suppression: The non-maximum suppression.
    """

    def __init__(self, detector: Any, suppression: Suppression) -> None:  # noqa: ANN401
        super().__init__(detector, suppression)
        self._weights = detector.box_coder.weights

    def forward(self, images: torch.Tensor, sizes: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Detect objects; see :meth:`sightline.tasks.detection.graph.two_stages.TwoStageGraph.forward`."""
        canvas = images.shape[2], images.shape[3]
        features = self.features(images, sizes)
        found = self.head(features)
        scores = found["cls_logits"].softmax(dim=-1)[..., 1:].transpose(1, 2)
        batch, classes = sizes.shape[0], scores.shape[1]
        scores = torch.where(scores > self._threshold, scores, REMOVED).reshape(batch * classes, -1)
        scores, place = best(scores, self._candidates, REMOVED)
        place = place.reshape(batch, -1)
        anchors = torch.cat([self.anchors(level, feature, canvas) for level, feature in enumerate(features)])
        boxes = decode_boxes(rows_at(found["bbox_regression"], place), anchors[place], self._weights)
        boxes = clip_boxes(boxes, sizes)
        groups = batch * classes
        kept = self._suppression(
            boxes.reshape(groups, self._candidates, 4), scores.reshape(groups, 1, self._candidates), self._iou
        )
        scores = torch.where(kept.reshape(scores.shape), scores, 0.0).reshape(batch, -1)
        scores, index = best(scores, self._detections, 0.0)
        is_found = scores > 0
        boxes = rows_at(boxes, index) * is_found[..., None]
        return boxes, scores, torch.where(is_found, index // self._candidates + 1, 0)
