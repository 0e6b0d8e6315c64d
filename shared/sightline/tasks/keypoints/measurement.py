"""All metrics of one keypoint model on one split, with their page sections and remarks."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence

from sightline.data.formats.coco import CocoDocument
from sightline.data.keypoint_detections import KeypointDetections
from sightline.metrics.coco import evaluate_coco
from sightline.metrics.coco_evaluator import DEFAULT_EVALUATOR, EvaluatorName
from sightline.metrics.keypoint_pairs import Pair, best_pairs, close_keypoints
from sightline.metrics.keypoints import KeypointScores, evaluate_keypoints, require_keypoints
from sightline.metrics.matches import average_precision_statistics, match_detections
from sightline.plural import counted
from sightline.report.keypoint_sections import NOTE, keypoint_sections, sigma_note
from sightline.report.sections import Remark
from sightline.tasks.detection.score_sections import score_sections
from sightline.tasks.evaluators import Measurement

_CLASS_METRICS = ("keypoint_AP", "keypoint_AP50", "keypoint_AP75")
"""The metrics of keypoints in the table per class."""

_GIVEN = " The boxes of the objects were given, so these numbers do not cover detection."


def measure_keypoints(
    truth: CocoDocument,
    detections: Sequence[KeypointDetections],
    score_threshold: float,
    evaluator: EvaluatorName = DEFAULT_EVALUATOR,
) -> Measurement:
    """Compute all metrics.

    Args:
        truth: One split.
        detections: One entry per image, with all scores, because average precision needs them.
        score_threshold: Detections with a lower score are not counted in the remarks on images.
        evaluator: The implementation of COCO's metrics.

    Raises:
        DataError: Truth or detections are invalid.
    """
    schema = require_keypoints(truth)
    scores = evaluate_keypoints(truth, detections, evaluator)
    given = any(found.boxes_given for found in detections)
    boxes = None if given else evaluate_coco(truth, detections, ("box",), evaluator)
    matches = [] if scores.matches is None else [scores.matches]
    if boxes is not None:
        matches.append(match_detections(truth, detections, "box"))
    statistics, class_statistics = average_precision_statistics(matches)
    if scores.pairs:
        statistics["keypoint_PCK"] = close_keypoints(truth, scores.pairs)
    note = NOTE + sigma_note(schema.sigmas, uniform=schema.uniform_sigmas) + (_GIVEN if given else "")
    names = {category["id"]: category["name"] for category in truth["categories"]}
    instances = Counter(names[one["category_id"]] for one in truth["annotations"] if one.get("num_keypoints", 0))
    per_class = {
        name: {"instances": float(instances[name])}
        | {metric: value for metric, value in scores.per_class.get(name, {}).items() if metric in _CLASS_METRICS}
        | ({} if boxes is None else {metric: boxes.per_class.get(name, {}).get(metric, 0.0) for metric in ("box_AP",)})
        for name in names.values()
    }
    values = {"keypoints": _rows(scores), "per_class": per_class, "curves": scores.curves}
    sure = [found.above(score_threshold) for found in detections]
    sure_pairs = best_pairs(truth, sure, match_detections(truth, sure, "keypoint", schema.sigmas))
    chosen_here = truth.get("info", {}).get("split") != "test"
    sections = keypoint_sections(values)
    sections[2:2] = [one for first in matches[:1] for one in score_sections(first, chosen_here=chosen_here)]
    return Measurement(
        scores.values | ({} if boxes is None else boxes.values),
        sections,
        _remarks(truth, sure_pairs, sure),
        note,
        statistics,
        class_statistics,
    )


def _rows(scores: KeypointScores) -> dict[str, dict[str, float]]:
    rows: dict[str, dict[str, float]] = {}
    for name, errors in scores.keypoints.items():
        row = {"count": float(errors.count), "PCK": errors.pck}
        if not math.isnan(errors.pixels):
            row |= {"error (px)": errors.pixels, "error (relative)": errors.relative}
        rows[name] = row
    return rows


def _remarks(truth: CocoDocument, pairs: Sequence[Pair], detections: Sequence[KeypointDetections]) -> dict[int, Remark]:
    """A remark on every image with labeled keypoints: how many of them were not found, and needless detections."""
    of_image: dict[int, list[Pair]] = defaultdict(list)
    for pair in pairs:
        of_image[pair.image_id].append(pair)
    unlabelled = Counter(one["image_id"] for one in truth["annotations"] if not one.get("num_keypoints", 0))
    remarks = {}
    for found in detections:
        mine = of_image[found.image_id]
        labelled = sum(int(pair.labelled.sum()) for pair in mine)
        wrong = labelled - sum(int(pair.close.sum()) for pair in mine)
        matched = sum(pair.distances is not None for pair in mine)
        false = max(0, len(found) - matched - unlabelled[found.image_id])
        missed = len(mine) - matched
        parts = [f"{wrong} of {counted(labelled, 'keypoint')} not found"] if wrong else []
        parts += [f"{counted(missed, 'object')} missed"] if missed else []
        parts += [counted(false, "false detection")] if false else []
        text = f"{', '.join(parts) or 'no mistake'} ({counted(len(mine), 'object')})"
        remarks[found.image_id] = Remark(mistakes=wrong + false, text=text)
    return remarks
