"""A whole evaluation of two models with predictions given: metrics, intervals, comparison; time and memory by size."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time

import numpy as np

from benchmarks.evaluation import generated
from benchmarks.figures import Figure, show
from sightline.config.gate import Gate
from sightline.data.detections import Detections
from sightline.data.formats.coco import CocoDocument
from sightline.data.keypoint_detections import KeypointDetections
from sightline.evaluation.bootstrap import Resamples
from sightline.evaluation.gate import Contest, pass_gate
from sightline.evaluation.uncertainty import intervals
from sightline.metrics.divided import evaluate_divided
from sightline.tasks.evaluators import open_evaluator

SIZES = (5_000, 20_000)
METRIC = "mask_AP"
HEADLINES = {METRIC, "box_AP50", "mask_AP50", "dv_mAP"}


def models(images: int) -> tuple[CocoDocument, list[list[Detections]]]:
    """A split, and the detections of two models: those generated, and the same with other scores."""
    truth, found = generated(images)
    names = ("id", "name")
    truth["categories"] = [{name: one[name] for name in names} for one in truth["categories"]]  # type: ignore[misc, literal-required]
    noise = np.random.default_rng(1)
    first = [_boxes(one) for one in found]
    return truth, [first, [_other_scores(one, noise) for one in first]]


def _boxes(found: KeypointDetections) -> Detections:
    return Detections(found.image_id, found.boxes_xyxy, found.scores, found.category_ids, found.masks)


def _other_scores(found: Detections, noise: np.random.Generator) -> Detections:
    scores = np.clip(found.scores + noise.normal(0, 0.1, len(found)), 0, 1).astype(np.float32)
    order = np.argsort(-scores, kind="stable")
    other = found.chosen(order)
    return Detections(other.image_id, other.boxes_xyxy, scores[order], other.category_ids, other.masks)


def evaluated(images: int) -> dict[str, float]:
    """Seconds of the parts of an evaluation of two models, and its peak memory in GiB."""
    truth, predictions = models(images)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    names = {category["id"]: category["name"] for category in truth["categories"]}
    evaluator = open_evaluator("instance_segmentation", "none", names)
    marks = [time.perf_counter()]

    def mark() -> float:
        marks.append(time.perf_counter())
        return marks[-1] - marks[-2]

    evaluate_divided(truth, predictions[0])
    seconds = {"divided": mark()}
    measured = [evaluator.measure(truth, one, 0.5) for one in predictions]
    seconds["measure"] = mark()
    rule = Gate()
    resamples = Resamples([""] * images, rule.resamples)
    resamples.difference(*(one.statistics[METRIC] for one in measured))
    seconds["bootstrap"] = mark()
    for one in measured:
        intervals(one, HEADLINES, resamples)
    seconds["intervals"] = mark()
    pass_gate(rule, 0.0, Contest(METRIC, "best", measured[0], None, measured[0], measured[1]), resamples, images)
    seconds["gate"] = mark()
    whole = sum(value for name, value in seconds.items() if name not in {"divided", "bootstrap"})
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {**seconds, "whole": whole, "memory": peak / 2**20, "before": before / 2**20}


def measure() -> list[Figure]:
    """The figures of this benchmark; each size runs in a process of its own."""
    found = {}
    for images in SIZES:
        command = [sys.executable, "-m", "benchmarks.decision", str(images)]
        found[images] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    small, large = (found[images] for images in SIZES)
    growth = SIZES[1] / SIZES[0]
    return [
        Figure("dv_mAP, 5,000 images", f"{small['divided']:.1f} s", target="< 8 s", met=small["divided"] < 8),
        Figure(
            "paired bootstrap of mask_AP, 1,000 resamples",
            f"{small['bootstrap']:.1f} s",
            target="< 10 s",
            met=small["bootstrap"] < 10,
        ),
        Figure(
            "evaluation of two models, 5,000 images",
            f"{small['whole']:.0f} s, {small['memory']:.2f} GiB",
            f"metrics {small['measure']:.0f} s, intervals {small['intervals']:.0f} s, gate {small['gate']:.0f} s; "
            f"{small['before']:.2f} GiB before",
            None,
            "< 60 s, < 2 GiB",
            small["whole"] < 60 and small["memory"] < 2,
        ),
        Figure(
            "the same, 20,000 images",
            f"{large['whole']:.0f} s, {large['memory']:.2f} GiB",
            f"metrics {large['measure']:.0f} s, intervals {large['intervals']:.0f} s, gate {large['gate']:.0f} s",
            large["whole"] / small["whole"],
            f"at most {growth:g} x as long, and a quarter",
            large["whole"] / small["whole"] < growth * 1.25,
        ),
    ]


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(evaluated(int(sys.argv[1]))))
    else:
        show("A whole evaluation", measure())
