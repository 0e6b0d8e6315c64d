"""How instance segmentation is measured: boxes, outlines, and what is read from the boxes."""

from __future__ import annotations

from functools import partial

from sightline.tasks.detection.measurement import measure_detections

measure = partial(measure_detections, overlaps=("box", "mask"))
