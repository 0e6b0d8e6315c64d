"""The declaration of object detection for configuration, checks and pages, without torch."""

from __future__ import annotations

from sightline.config.task_declarations import TaskDeclaration
from sightline.tasks.detection.families import TRANSFORMERS
from sightline.tasks.detection.metrics import BOX_METRICS, OWN_READING, READINGS

DECLARATION = TaskDeclaration(
    settings="sightline.tasks.object_detection.settings:BoxDetector",
    validation_metrics=BOX_METRICS,
    evaluation_metrics=(),
    main_metric="box_AP",
    readings=READINGS,
    own_reading=OWN_READING,
    families=TRANSFORMERS,
)
