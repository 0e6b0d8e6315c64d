"""From the output of an exported graph to detections."""

from __future__ import annotations

from sightline.tasks.detection.postprocessing import detections_of_export

POSTPROCESSING = detections_of_export
