"""torchvision's heads with a loss of their own on the proposals that were sampled for training."""

from __future__ import annotations

from typing import Any, NamedTuple, Self

import torch
from torchvision.models.detection.roi_heads import RoIHeads

_Selected = tuple[list[torch.Tensor], list[torch.Tensor], list[torch.Tensor], list[torch.Tensor]]


class Positives(NamedTuple):
    """The sampled proposals of an image that match an object."""

    boxes: torch.Tensor
    """Float [P, 4] xyxy, in input pixels."""
    objects: torch.Tensor
    """int64 [P], positions in the targets of the image."""
    labels: torch.Tensor
    """int64 [P], their classes."""


class SampledHeads(RoIHeads):  # type: ignore[misc]  # torchvision is untyped
    """torchvision's heads, which remember the sampled proposals for the loss of a subclass."""

    @classmethod
    def of(cls, heads: RoIHeads) -> Self:
        """The same heads, with the same modules and parameters."""
        made = cls.__new__(cls)
        made.__dict__ = heads.__dict__
        return made

    def select_training_samples(self, proposals: list[torch.Tensor], targets: list[dict[str, Any]]) -> _Selected:
        """Sample proposals, and remember them."""
        selected: _Selected = super().select_training_samples(proposals, targets)
        self._selected = selected
        return selected

    def take_positives(self) -> list[Positives]:
        """The positive proposals of each image of the batch; they are forgotten afterwards."""
        proposals, matched, labels, _ = self._selected
        del self._selected
        chosen = [torch.where(of_image > 0)[0] for of_image in labels]
        return [
            Positives(boxes[rows], objects[rows], classes[rows])
            for boxes, objects, classes, rows in zip(proposals, matched, labels, chosen, strict=True)
        ]
