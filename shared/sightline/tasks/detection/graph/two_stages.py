"""Faster R-CNN and Mask R-CNN as one graph."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from sightline.models.backbone_names import PYRAMID_STRIDES
from sightline.tasks.detection.graph.boxes import (
    Normalization,
    best,
    clip_boxes,
    decode_boxes,
    grid_of_anchors,
    is_larger,
    rows_at,
)
from sightline.tasks.detection.graph.suppression import ONNX_TRANSLATIONS, Suppression

_CANONICAL_SIZE, _CANONICAL_LEVEL = 224, 4
"""A region of 224 pixels is pooled from the level with stride 16 (feature pyramid networks, equation 1)."""

_REMOVED = -1.0
"""The score of removed boxes."""


class TwoStageGraph(nn.Module):
    """Predicts what a detector of torchvision predicts in evaluation mode.

    Args:
        detector: torchvision's ``FasterRCNN`` or ``MaskRCNN``.
        suppression: The non-maximum suppression.
    """

    outputs: tuple[str, ...]
    translations = ONNX_TRANSLATIONS

    def __init__(self, detector: Any, suppression: Suppression) -> None:  # noqa: ANN401
        super().__init__()
        heads, rpn = detector.roi_heads, detector.rpn
        self.normalization = Normalization(detector.transform.mean, detector.transform.std)
        self.any_size: bool = detector.backbone.any_size
        self.backbone, self.rpn_head = detector.backbone, rpn.head
        self.box_head, self.box_predictor = heads.box_head, heads.box_predictor
        self.outputs = ("boxes", "scores", "labels")
        if heads.has_mask():
            self.mask_head, self.mask_predictor = heads.mask_head, heads.mask_predictor
            self._mask_pool = heads.mask_roi_pool.output_size
            self.outputs += ("masks",)
        self._suppression = suppression
        self._candidates, self._proposals = rpn._pre_nms_top_n["testing"], rpn._post_nms_top_n["testing"]
        self._rpn_iou, self._rpn_side = rpn.nms_thresh, rpn.min_size
        self._rpn_weights, self._box_weights = rpn.box_coder.weights, heads.box_coder.weights
        self._box_pool = heads.box_roi_pool.output_size
        self._levels = len(heads.box_roi_pool.featmap_names)
        self._threshold, self._iou = heads.score_thresh, heads.nms_thresh
        self._detections = heads.detections_per_img
        for level, shapes in enumerate(rpn.anchor_generator.cell_anchors):
            self.register_buffer(f"anchors{level}", shapes.clone())

    def forward(self, images: torch.Tensor, sizes: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Detect objects.

        Args:
            images: uint8 [B, 3, H, W]; H and W are multiples of 32.
            sizes: Height and width of each image, int64 [B, 2]; it is at the top left, the rest is ignored.

        Returns:
            ``boxes`` float32 [B, D, 4] xyxy in input pixels, ``scores`` float32 [B, D] descending, ``labels`` int64
            [B, D] from 1 and, if the detector has masks, ``masks`` float32 [B, D, M, M], probabilities in the box.  An
            image with fewer than D detections is filled up with scores of 0.
        """
        pooled, boxes, scores, labels = self.detect(images, sizes)
        if "masks" not in self.outputs:
            return boxes, scores, labels
        logits = self.mask_predictor(self.mask_head(pool_regions(pooled, boxes, scores > 0, self._mask_pool)))
        rows = labels.reshape(-1, 1, 1, 1).expand(-1, 1, logits.shape[2], logits.shape[3])
        masks = logits.gather(1, rows).sigmoid()
        return boxes, scores, labels, masks.reshape(boxes.shape[0], self._detections, *logits.shape[2:])

    def detect(
        self, images: torch.Tensor, sizes: torch.Tensor
    ) -> tuple[list[torch.Tensor], torch.Tensor, torch.Tensor, torch.Tensor]:
        """The levels of the pyramid that regions are pooled from; and boxes, scores and labels as in :meth:`forward`."""
        features = list(self.backbone(self.normalization(images, sizes)).values())
        proposals, is_proposal = self._propose(features, sizes, (images.shape[2], images.shape[3]))
        pooled = features[: self._levels]
        return pooled, *self._detect(pooled, proposals, is_proposal, sizes)

    def _propose(
        self, features: list[torch.Tensor], sizes: torch.Tensor, canvas: tuple[int, int]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The proposals of the first stage: boxes [B, P, 4], and which of them exist [B, P]."""
        batch, found, scores = sizes.shape[0], [], []
        for level, (objectness, changes) in enumerate(zip(*self.rpn_head(features), strict=True)):
            height, width = objectness.shape[2:]
            anchors = grid_of_anchors(height, width, canvas, getattr(self, f"anchors{level}"))
            logits, index = best(objectness.permute(0, 2, 3, 1).reshape(batch, -1), self._candidates, -torch.inf)
            deltas = changes.reshape(batch, -1, 4, height, width).permute(0, 3, 4, 1, 2).reshape(batch, -1, 4)
            boxes = clip_boxes(decode_boxes(rows_at(deltas, index), anchors[index], self._rpn_weights), sizes)
            exists = (logits > -torch.inf) & is_larger(boxes, self._rpn_side)
            found.append(boxes)
            scores.append(torch.where(exists, logits.sigmoid(), _REMOVED))
        boxes, score = torch.stack(found, dim=1), torch.stack(scores, dim=1)
        levels = len(found)
        kept = self._suppression(
            boxes.reshape(batch * levels, self._candidates, 4),
            score.reshape(batch * levels, 1, self._candidates),
            self._rpn_iou,
        )
        score = torch.where(kept.reshape(score.shape), score, _REMOVED).reshape(batch, -1)
        score, index = best(score, self._proposals, _REMOVED)
        return rows_at(boxes.reshape(batch, -1, 4), index), score > _REMOVED

    def _detect(
        self, features: list[torch.Tensor], proposals: torch.Tensor, is_proposal: torch.Tensor, sizes: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The second stage: boxes [B, D, 4], scores [B, D] and labels [B, D]."""
        batch, count = sizes.shape[0], self._proposals
        logits, deltas = self.box_predictor(
            self.box_head(pool_regions(features, proposals, is_proposal, self._box_pool))
        )
        classes = logits.shape[1] - 1  # without the background
        scores = logits.softmax(dim=-1).reshape(batch, count, classes + 1)[..., 1:].transpose(1, 2)
        deltas = deltas.reshape(batch, count, classes + 1, 4)[:, :, 1:].transpose(1, 2)
        boxes = decode_boxes(deltas, proposals[:, None], self._box_weights)
        boxes = clip_boxes(boxes.reshape(batch, -1, 4), sizes)
        exists = (scores > self._threshold) & is_proposal[:, None] & is_larger(boxes, 1e-2).reshape(scores.shape)
        scores = torch.where(exists, scores, _REMOVED)
        groups = batch * classes
        kept = self._suppression(boxes.reshape(groups, count, 4), scores.reshape(groups, 1, count), self._iou)
        scores = torch.where(kept.reshape(scores.shape), scores, 0.0).reshape(batch, -1)
        scores, index = best(scores, self._detections, 0.0)
        boxes = rows_at(boxes, index) * (scores > 0)[..., None]
        return boxes, scores, torch.where(scores > 0, index // count + 1, 0)


def pool_regions(
    features: list[torch.Tensor], boxes: torch.Tensor, exists: torch.Tensor, size: tuple[int, int]
) -> torch.Tensor:
    """Region pooling from the pyramid: [B * N, C, *size] from boxes [B, N, 4]; zero where there is no box.

    Every box is pooled from its own level.  On the others it has no size, which costs almost nothing.
    """
    area = (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
    level = torch.floor(_CANONICAL_LEVEL + torch.log2(torch.sqrt(area) / _CANONICAL_SIZE) + 1e-6)
    finest = PYRAMID_STRIDES[0].bit_length() - 1
    level = torch.where(exists, level.clamp(finest, finest + len(features) - 1) - finest, -1.0).reshape(-1)
    image = torch.arange(boxes.shape[0], device=boxes.device)[:, None].expand(boxes.shape[:2])
    image = image.reshape(-1, 1).to(boxes.dtype)
    pooled = torch.zeros((), dtype=boxes.dtype, device=boxes.device)
    for number, (feature, stride) in enumerate(zip(features, PYRAMID_STRIDES, strict=False)):
        here = (level == number)[:, None]
        regions = torch.cat((image, boxes.reshape(-1, 4) * here), dim=1)
        found = torch.ops.torchvision.roi_align(feature, regions, 1 / stride, *size, 0, False)
        pooled = pooled + found * here[..., None, None]
    return pooled
