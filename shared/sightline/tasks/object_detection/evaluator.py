"""The evaluator of object detection: boxes, and readings from them."""

from __future__ import annotations

from functools import partial

from sightline.tasks.detection.evaluator import DetectionEvaluator

EVALUATOR = partial(DetectionEvaluator, overlaps=("box",))
