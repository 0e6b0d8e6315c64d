"""The declaration of keypoints for configuration, checks and pages, without torch."""

from __future__ import annotations

from sightline.config.task_declarations import Metric, TaskDeclaration
from sightline.tasks.detection.metrics import BOX_METRICS

KEYPOINT_METRICS = (
    Metric(
        "keypoint_AP",
        "average precision of keypoints, mean over OKS 0.50 to 0.95, over all scores",
        place=7,
        headline=True,
    ),
    Metric("keypoint_AP50", "average precision of keypoints at OKS 0.5, over all scores", place=8, headline=True),
    Metric("keypoint_AP75", "average precision of keypoints at OKS 0.75, over all scores"),
    Metric("keypoint_PCK", "labeled keypoints found within 0.2 of the diagonal of their object's box", place=9),
)

DECLARATION = TaskDeclaration(
    settings="sightline.tasks.keypoints.settings:KeypointDetector",
    validation_metrics=(*KEYPOINT_METRICS, *BOX_METRICS),
    evaluation_metrics=(),
    main_metric="keypoint_AP",
    families={"heatmap": "sightline.tasks.keypoints.settings:HeatmapNetwork"},
    needs="keypoints",
    check="sightline.tasks.keypoints.check:check",
)
