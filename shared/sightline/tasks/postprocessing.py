"""From the output of an exported graph to a prediction, by task, without torch."""

from __future__ import annotations

from sightline.config.task_declarations import TASK_NAMES
from sightline.names import NameTable

POSTPROCESSING = NameTable("task", dict.fromkeys(TASK_NAMES, "sightline.tasks.*.postprocessing:POSTPROCESSING"))
"""Makes a prediction from the outputs for one image: arguments as for
:func:`sightline.tasks.detection.postprocessing.detections_of_export`."""
