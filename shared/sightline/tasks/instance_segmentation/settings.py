"""Settings of instance segmentation: the section ``model`` of the configuration."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from sightline.config.network import Detector
from sightline.config.published_weights import MASK_RCNN


class MaskDetector(Detector):
    """Mask R-CNN."""

    mask_channels: Annotated[int, Field(ge=16, le=1024)] = Field(256, description="Channels of the mask head")
    mask_layers: Annotated[int, Field(ge=1, le=16)] = Field(4, description="Convolutions of the mask head")

    @property
    def published_weights(self) -> str:
        """Mask R-CNN trained on COCO if its body and pyramid fit, else the weights of the body."""
        return MASK_RCNN if self.has_published_pyramid else super().published_weights
