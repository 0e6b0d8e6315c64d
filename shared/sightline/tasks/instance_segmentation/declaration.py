"""The declaration of instance segmentation for configuration, checks and pages, without torch."""

from __future__ import annotations

from sightline.config.task_declarations import TaskDeclaration
from sightline.tasks.detection.families import MASK_TRANSFORMERS
from sightline.tasks.detection.metrics import BOX_METRICS, DIVIDED, MASK_METRICS, OWN_READING, READINGS

DECLARATION = TaskDeclaration(
    settings="sightline.tasks.instance_segmentation.settings:MaskDetector",
    validation_metrics=(*BOX_METRICS, *MASK_METRICS),
    evaluation_metrics=(DIVIDED,),
    main_metric="mask_AP",
    readings=READINGS,
    own_reading=OWN_READING,
    families=MASK_TRANSFORMERS,
)
