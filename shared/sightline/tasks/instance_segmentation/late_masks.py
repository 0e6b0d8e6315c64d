"""The heads of Mask R-CNN with a mask loss that needs outlines instead of bitmaps."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import binary_cross_entropy_with_logits
from torchvision.models.detection.roi_heads import RoIHeads

from sightline.tasks.instance_segmentation.mask_targets import mask_targets

Selected = tuple[list[torch.Tensor], list[torch.Tensor], list[torch.Tensor], list[torch.Tensor]]


class LateMaskHeads(RoIHeads):  # type: ignore[misc]  # torchvision is untyped
    """torchvision's heads whose targets have ``outlines`` (see :class:`Sample`) instead of ``masks``.

    torchvision draws each object in a bitmap of the whole image, and then resamples the part in each sampled proposal
    to 28 x 28.  Here the outline is drawn within the proposal right away.  In evaluation mode nothing differs.
    """

    @classmethod
    def of(cls, heads: RoIHeads) -> LateMaskHeads:
        """The same heads, with the same modules and parameters."""
        made = cls.__new__(cls)
        made.__dict__ = heads.__dict__
        return made

    def has_mask(self) -> bool:
        """Whether torchvision computes masks: not in training, where :meth:`forward` adds the loss."""
        return not self.training and bool(super().has_mask())

    def select_training_samples(self, proposals: list[torch.Tensor], targets: list[dict[str, Any]]) -> Selected:
        """Sample proposals; they are remembered for the mask loss."""
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
        """Detections in evaluation mode, losses in training mode; see torchvision."""
        detections, losses = super().forward(features, proposals, image_shapes, targets)
        if self.training and targets is not None:
            losses["loss_mask"] = self._mask_loss(features, image_shapes, targets)
        return detections, losses

    def _mask_loss(
        self, features: dict[str, torch.Tensor], image_shapes: list[tuple[int, int]], targets: list[dict[str, Any]]
    ) -> torch.Tensor:
        """Binary cross-entropy of the masks of the positive proposals, for their class (He et al., 2017, section 3)."""
        proposals, matched, labels, _ = self._selected
        del self._selected
        positive = [torch.where(of_image > 0)[0] for of_image in labels]
        boxes = [of_image[chosen] for of_image, chosen in zip(proposals, positive, strict=True)]
        logits: torch.Tensor = self.mask_predictor(self.mask_head(self.mask_roi_pool(features, boxes, image_shapes)))
        classes = torch.cat([of_image[chosen] for of_image, chosen in zip(labels, positive, strict=True)])
        if not len(classes):
            return logits.sum() * 0
        wanted = [
            mask_targets(target["outlines"], of_image[chosen], places, logits.shape[-1])
            for target, of_image, chosen, places in zip(targets, matched, positive, boxes, strict=True)
        ]
        rows = torch.arange(len(classes), device=classes.device)
        return binary_cross_entropy_with_logits(logits[rows, classes], torch.cat(wanted))
