"""Settings of object detection: the section ``model`` of the configuration."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from sightline.config.network import Detector
from sightline.config.published_weights import FASTER_RCNN, FCOS


class BoxDetector(Detector):
    """Faster R-CNN, or FCOS, which is a single-stage detector without anchors."""

    detector: Literal["faster_rcnn", "fcos"] = Field(
        "faster_rcnn",
        description="fcos has a single stage: head_channels, anchor_ratios, proposals, sampled_proposals and "
        "positive_share do not apply, and only the number of anchor_sizes matters (the number of pyramid levels)",
    )

    @property
    def published_weights(self) -> str:
        """The detector trained on COCO if its body and pyramid fit, else the weights of the body."""
        if not self.has_published_pyramid:
            return super().published_weights
        return FCOS if self.detector == "fcos" else FASTER_RCNN

    @model_validator(mode="after")
    def _channels_of_groups(self) -> BoxDetector:
        if self.detector == "fcos" and self.fpn_channels % 32:
            raise ValueError(f"fpn_channels to be a multiple of 32 with fcos, but it is {self.fpn_channels}")
        return self
