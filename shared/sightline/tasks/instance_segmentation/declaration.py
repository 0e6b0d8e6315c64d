"""Instance segmentation as the configuration, the checks and the pages know it, without torch."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from sightline.config.network import Detector
from sightline.config.task_declarations import TaskDeclaration
from sightline.tasks.detection.metrics import BOX_METRICS, DIVIDED, MASK_METRICS, READINGS


class MaskDetector(Detector):
    """Mask R-CNN."""

    mask_channels: Annotated[int, Field(ge=16, le=1024)] = Field(256, description="Channels of the mask head")
    mask_layers: Annotated[int, Field(ge=1, le=16)] = Field(4, description="Convolutions of the mask head")


DECLARATION = TaskDeclaration(
    network=MaskDetector,
    validation_metrics=(*BOX_METRICS, *MASK_METRICS),
    evaluation_metrics=(DIVIDED,),
    main_metric="mask_AP",
    readings=READINGS,
)
