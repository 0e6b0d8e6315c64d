"""Settings of object detection: the section ``model`` of the configuration."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from sightline.config.network import Detector
from sightline.config.published_weights import FASTER_RCNN, FCOS, RETINANET

GROUPS = 32
"""Groups of channels of the norms in heads with a single stage."""

_PUBLISHED = {"faster_rcnn": FASTER_RCNN, "fcos": FCOS, "retinanet": RETINANET}


class BoxDetector(Detector):
    """Faster R-CNN, or a detector with a single stage: FCOS, which has no anchors, RetinaNet or SSDlite."""

    detector: Literal["faster_rcnn", "fcos", "retinanet", "ssdlite"] = Field(
        "faster_rcnn",
        description="fcos, retinanet and ssdlite have a single stage: head_channels, proposals, sampled_proposals and "
        "positive_share do not apply. retinanet has anchors of three sizes on each level: that of anchor_sizes, and "
        "those 1.26 and 1.59 times as large. fcos has no anchors: anchor_ratios does not apply, and only the number of "
        "anchor_sizes matters (the number of pyramid levels)",
    )

    @property
    def published_weights(self) -> str:
        """The detector trained on COCO if its body and pyramid fit, else the weights of the body."""
        body = super().published_weights
        return _PUBLISHED.get(self.detector, body) if self.has_published_pyramid else body

    @model_validator(mode="after")
    def _channels_of_groups(self) -> BoxDetector:
        if self.detector != "faster_rcnn" and self.fpn_channels % GROUPS:
            raise ValueError(
                f"fpn_channels to be a multiple of {GROUPS} with {self.detector}, but it is {self.fpn_channels}"
            )
        return self
