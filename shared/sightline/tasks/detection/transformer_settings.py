"""Settings of RF-DETR: the section ``model`` of the configuration with ``network: rfdetr``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from sightline.config.network import Network
from sightline.config.published_weights import rfdetr_name
from sightline.config.section import Fraction

Size = Literal["nano", "small", "medium", "large"]


class RfDetr(Network):
    """RF-DETR, a transformer with a DINOv2 body."""

    network: Literal["rfdetr"] = Field(
        "rfdetr",
        description="rfdetr: RF-DETR of the package rfdetr; left out or empty: torchvision's detectors",
        json_schema_extra={"default": "left out"},
    )
    size: Size = Field("nano", description="Size of RF-DETR; all are Apache-2.0")
    max_detections: Annotated[int, Field(gt=0, le=300)] = Field(100, description="Detections kept per image")
    score_threshold: Fraction = Field(0.05, description="Minimum score of a detection")

    @property
    def published_weights(self) -> str:
        """The name of the weights of this size, trained on COCO."""
        return rfdetr_name(self.size, masks=False)


class RfDetrWithMasks(RfDetr):
    """RF-DETR for segmentation."""

    @property
    def published_weights(self) -> str:
        """The name of the weights of this size with a mask head, trained on COCO."""
        return rfdetr_name(self.size, masks=True)
