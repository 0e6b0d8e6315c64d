"""The evaluator of instance segmentation: boxes, masks, and readings from the boxes."""

from __future__ import annotations

from functools import partial

from sightline.tasks.detection.evaluator import DetectionEvaluator

EVALUATOR = partial(DetectionEvaluator, overlaps=("box", "mask"))
