"""Keypoint R-CNN and the top-down network as graphs for export."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from sightline.tasks.detection.graph.boxes import Normalization
from sightline.tasks.detection.graph.suppression import ONNX_TRANSLATIONS, Suppression
from sightline.tasks.detection.graph.two_stages import TwoStageGraph, pool_regions
from sightline.tasks.keypoints.crops import keypoints_in_image
from sightline.tasks.keypoints.heads import MAP_SIGMA, MAP_SIZE
from sightline.tasks.keypoints.heatmap_network import KeypointMaps
from sightline.tasks.keypoints.maps import decode_maps


class KeypointGraph(TwoStageGraph):
    """Predicts what Keypoint R-CNN predicts in evaluation mode.

    Args:
        detector: Keypoint R-CNN.
        suppression: The non-maximum suppression.
    """

    def __init__(self, detector: Any, suppression: Suppression) -> None:  # noqa: ANN401
        super().__init__(detector, suppression)
        heads = detector.roi_heads
        self.keypoint_head, self.keypoint_predictor = heads.keypoint_head, heads.keypoint_predictor
        self._keypoint_pool = heads.keypoint_roi_pool.output_size
        self.outputs += ("keypoints",)

    def forward(self, images: torch.Tensor, sizes: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Detect objects; as :meth:`TwoStageGraph.forward`.

        Returns:
            Boxes, scores and labels; and ``keypoints`` float32 [B, D, K, 3]: x and y in input pixels, and score.
        """
        pooled, boxes, scores, labels = self.detect(images, sizes)
        regions = pool_regions(pooled, boxes, scores > 0, self._keypoint_pool)
        points = decode_maps(self.keypoint_predictor(self.keypoint_head(regions)), MAP_SIGMA)
        points = points.reshape(boxes.shape[0], boxes.shape[1], points.shape[1], 3)
        return boxes, scores, labels, keypoints_in_image(points, boxes, MAP_SIZE)


class CropGraph(nn.Module):
    """Predicts the keypoints of images that show one object each: the crops of a detector's boxes, for example.

    Args:
        network: The top-down network.
    """

    outputs = ("boxes", "scores", "labels", "keypoints")
    translations = ONNX_TRANSLATIONS
    any_size = True

    def __init__(self, network: KeypointMaps) -> None:
        super().__init__()
        self.network = network
        self.normalization = Normalization(network.transform.mean, network.transform.std)

    def forward(self, images: torch.Tensor, sizes: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Find keypoints.

        Args:
            images: uint8 [B, 3, H, W].
            sizes: Height and width of each image, int64 [B, 2]; it is at the top left, the rest is ignored.

        Returns:
            One object per image: ``boxes`` float32 [B, 1, 4], the whole image; ``scores`` float32 [B, 1], the mean score
            of the keypoints; ``labels`` int64 [B, 1], all 1; ``keypoints`` float32 [B, 1, K, 3], as for Keypoint R-CNN.
        """
        batch = self.normalization(images, sizes)
        boxes = torch.cat((torch.zeros_like(sizes), sizes.flip(1)), dim=1).to(batch.dtype)
        points = self.network.keypoints(batch, torch.arange(sizes.shape[0], device=sizes.device), boxes)
        scores = points[..., 2].mean(dim=1)
        return boxes[:, None], scores[:, None], torch.ones_like(sizes[:, :1]), points[:, None]
