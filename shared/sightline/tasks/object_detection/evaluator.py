"""How object detection is measured: boxes, and what is read from them."""

from __future__ import annotations

from functools import partial

from sightline.tasks.detection.evaluator import DetectionEvaluator

EVALUATOR = partial(DetectionEvaluator, overlaps=("box",))
