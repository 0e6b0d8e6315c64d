"""The heads of Keypoint R-CNN with unbiased targets and decoding."""

from __future__ import annotations

from typing import Any

import torch

from sightline.tasks.detection.sampled_heads import SampledHeads
from sightline.tasks.keypoints.crops import keypoints_in_image, keypoints_in_maps
from sightline.tasks.keypoints.maps import decode_maps, map_losses, map_targets

MAP_SIGMA = 1.0
"""Standard deviation of the targets, in cells of 1/56 of a proposal."""

MAP_SIZE = (56, 56)
"""Rows and columns of a map, which covers a box."""


class KeypointHeads(SampledHeads):
    """torchvision's heads, whose maps of keypoints have Gaussians as targets instead of single cells.

    torchvision predicts the middle of a cell of a map that was resized to the box, one box after another.  Here a
    keypoint lies between the cells, and all are decoded at once.
    """

    def has_keypoint(self) -> bool:
        """Whether torchvision computes keypoints: never, :meth:`forward` does."""
        return False

    def forward(
        self,
        features: dict[str, torch.Tensor],
        proposals: list[torch.Tensor],
        image_shapes: list[tuple[int, int]],
        targets: list[dict[str, Any]] | None = None,
    ) -> tuple[list[dict[str, torch.Tensor]], dict[str, torch.Tensor]]:
        """Detections in evaluation mode, losses in training mode; see torchvision.

        Detections have ``keypoints`` float32 [N, K, 3]: x and y in input pixels, and score, 0 to 1.
        """
        detections, losses = super().forward(features, proposals, image_shapes, targets)
        if self.training and targets is not None:
            losses["loss_keypoint"] = self._keypoint_loss(features, image_shapes, targets)
            return detections, losses
        boxes = [one["boxes"] for one in detections]
        decoded = decode_maps(self.maps(features, boxes, image_shapes), MAP_SIGMA)
        points = torch.split(decoded, [len(one) for one in boxes])
        for one, of_image, around in zip(detections, points, boxes, strict=True):
            one["keypoints"] = keypoints_in_image(of_image, around, MAP_SIZE)
        return detections, losses

    def maps(
        self, features: dict[str, torch.Tensor], boxes: list[torch.Tensor], image_shapes: list[tuple[int, int]]
    ) -> torch.Tensor:
        """The maps of boxes: float [N, K, 56, 56]."""
        pooled = self.keypoint_roi_pool(features, boxes, image_shapes)
        logits: torch.Tensor = self.keypoint_predictor(self.keypoint_head(pooled))
        return logits

    def _keypoint_loss(
        self, features: dict[str, torch.Tensor], image_shapes: list[tuple[int, int]], targets: list[dict[str, Any]]
    ) -> torch.Tensor:
        """The mean over the labeled keypoints in all positive proposals."""
        positives = self.take_positives()
        logits = self.maps(features, [one.boxes for one in positives], image_shapes)
        points = torch.cat(
            [
                keypoints_in_maps(target["keypoints"][one.objects], one.boxes, MAP_SIZE)
                for target, one in zip(targets, positives, strict=True)
            ]
        )
        wanted, weights = map_targets(points, *MAP_SIZE, MAP_SIGMA)
        if not weights.any():
            return logits.sum() * 0
        return (map_losses(logits, wanted) * weights).sum() / weights.sum()
