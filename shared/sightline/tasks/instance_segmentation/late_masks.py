"""The heads of Mask R-CNN with a mask loss that needs outlines instead of bitmaps."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from sightline.tasks.detection.sampled_heads import SampledHeads
from sightline.tasks.instance_segmentation.mask_targets import mask_targets


class LateMaskHeads(SampledHeads):
    """torchvision's heads whose targets have ``outlines`` (see :class:`Sample`) instead of ``masks``.

    torchvision draws each object in a bitmap of the whole image, and then resamples the part in each sampled proposal
    to 28 x 28.  Here the outline is drawn within the proposal right away.  In evaluation mode nothing differs.
    """

    def has_mask(self) -> bool:
        """Whether torchvision computes masks: not in training, where :meth:`forward` adds the loss."""
        return not self.training and bool(super().has_mask())

    def forward(
        self,
        features: dict[str, torch.Tensor],
        proposals: list[torch.Tensor],
        image_shapes: list[tuple[int, int]],
        targets: list[dict[str, Any]] | None = None,
    ) -> tuple[list[dict[str, torch.Tensor]], dict[str, torch.Tensor]]:
        """Detections in evaluation mode, losses in training mode; see torchvision."""
        detections, losses = super().forward(features, proposals, image_shapes, targets)
        if self.training and targets is not None:
            losses["loss_mask"] = self._mask_loss(features, image_shapes, targets)
        return detections, losses

    def _mask_loss(
        self, features: dict[str, torch.Tensor], image_shapes: list[tuple[int, int]], targets: list[dict[str, Any]]
    ) -> torch.Tensor:
        """Binary cross-entropy of the masks of the positive proposals, for their class (He et al., 2017, section 3)."""
        positives = self.take_positives()
        boxes = [one.boxes for one in positives]
        logits: torch.Tensor = self.mask_predictor(self.mask_head(self.mask_roi_pool(features, boxes, image_shapes)))
        classes = torch.cat([one.labels for one in positives])
        if not len(classes):
            return logits.sum() * 0
        wanted = [
            mask_targets(target["outlines"], one.objects, one.boxes, logits.shape[-1])
            for target, one in zip(targets, positives, strict=True)
        ]
        rows = torch.arange(len(classes), device=classes.device)
        return binary_cross_entropy_with_logits(logits[rows, classes], torch.cat(wanted))
