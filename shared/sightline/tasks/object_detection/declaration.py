"""Object detection as the configuration, the checks and the pages know it, without torch."""

from __future__ import annotations

from sightline.config.task_declarations import TaskDeclaration
from sightline.tasks.detection.metrics import BOX_METRICS, READINGS

DECLARATION = TaskDeclaration(
    settings="sightline.tasks.object_detection.settings:BoxDetector",
    validation_metrics=BOX_METRICS,
    evaluation_metrics=(),
    main_metric="box_AP",
    readings=READINGS,
)
