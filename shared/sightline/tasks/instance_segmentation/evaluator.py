"""How instance segmentation is measured: boxes, outlines, and what is read from the boxes."""

from __future__ import annotations

from functools import partial

from sightline.tasks.detection.evaluator import DetectionEvaluator

EVALUATOR = partial(DetectionEvaluator, overlaps=("box", "mask"))
