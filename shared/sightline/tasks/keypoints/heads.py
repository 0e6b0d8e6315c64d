"""The heads of Keypoint R-CNN with unbiased targets and decoding."""

from __future__ import annotations

from typing import Any

import torch
from torchvision.models.detection.roi_heads import RoIHeads

from sightline.tasks.keypoints.crops import keypoints_in_image, keypoints_in_maps
from sightline.tasks.keypoints.maps import decode_maps, map_losses, map_targets

MAP_SIGMA = 1.0
"""Standard deviation of the targets, in cells of 1/56 of a proposal."""

MAP_SIZE = (56, 56)
"""Rows and columns of a map, which covers a box."""

Selected = tuple[list[torch.Tensor], list[torch.Tensor], list[torch.Tensor], list[torch.Tensor]]


class KeypointHeads(RoIHeads):  # type: ignore[misc]  # torchvision is untyped
    """torchvision's heads, whose maps of keypoints have Gaussians as targets instead of single cells.

    torchvision predicts the middle of a cell of a map that was resized to the box, one box after another.  Here a
    keypoint lies between the cells, and all are decoded at once.
    """

    @classmethod
    def of(cls, heads: RoIHeads) -> KeypointHeads:
        """The same heads, with the same modules and parameters."""
        made = cls.__new__(cls)
        made.__dict__ = heads.__dict__
        return made

    def has_keypoint(self) -> bool:
        """Whether torchvision computes keypoints: never, :meth:`forward` does."""
        return False

    def select_training_samples(self, proposals: list[torch.Tensor], targets: list[dict[str, Any]]) -> Selected:
        """Sample proposals; they are remembered for the loss of the keypoints."""
        selected: Selected = super().select_training_samples(proposals, targets)
        self._selected = selected
        return selected

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
        points = decode_maps(self.maps(features, boxes, image_shapes), MAP_SIGMA)
        for one, of_image, around in zip(detections, points.split([len(one) for one in boxes]), boxes, strict=True):
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
        proposals, matched, labels, _ = self._selected
        del self._selected
        positive = [torch.where(of_image > 0)[0] for of_image in labels]
        boxes = [of_image[chosen] for of_image, chosen in zip(proposals, positive, strict=True)]
        logits = self.maps(features, boxes, image_shapes)
        points = torch.cat(
            [
                keypoints_in_maps(target["keypoints"][of_image[chosen]], around, MAP_SIZE)
                for target, of_image, chosen, around in zip(targets, matched, positive, boxes, strict=True)
            ]
        )
        wanted, weights = map_targets(points, *logits.shape[2:], MAP_SIGMA)
        if not weights.any():
            return logits.sum() * 0
        return (map_losses(logits, wanted) * weights).sum() / weights.sum()
