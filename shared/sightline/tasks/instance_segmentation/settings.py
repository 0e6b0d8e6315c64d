"""Settings of instance segmentation: the section ``model`` of the configuration."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from sightline.config.network import Detector


class MaskDetector(Detector):
    """Mask R-CNN."""

    mask_channels: Annotated[int, Field(ge=16, le=1024)] = Field(256, description="Channels of the mask head")
    mask_layers: Annotated[int, Field(ge=1, le=16)] = Field(4, description="Convolutions of the mask head")
