"""All metrics of one detector on one split, with their page sections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from sightline.data.detections import Detections
from sightline.data.formats.coco import CocoDocument
from sightline.metrics.coco import CocoScores, Overlap, evaluate_coco
from sightline.metrics.coco_evaluator import DEFAULT_EVALUATOR, EvaluatorName, areas_of
from sightline.metrics.confidence import confidence_curve, recall_at_precision
from sightline.metrics.confusion import confusion_matrix
from sightline.metrics.divided import DividedScores, evaluate_divided
from sightline.metrics.error_breakdown import MEANINGS, error_breakdown
from sightline.metrics.matches import Matches, average_precision_statistics, match_detections
from sightline.report.detector_sections import detector_note, detector_sections
from sightline.report.sections import object_remark
from sightline.tasks.detection.reading_measurement import measure_readings
from sightline.tasks.detection.score_sections import score_sections
from sightline.tasks.evaluators import Measurement
from sightline.tasks.readers.checked import CheckedReader

_PRECISIONS = (0.9, 0.95)
"""The precisions at which recall is measured."""

_PLACE_OF_SCORES = 2
"""The sections about scores come after the values per class and those by score."""

_CLASS_METRICS = ("AP", "AP50")
"""The COCO metrics in the table per class, for each kind of overlap."""


def measure_detections(
    truth: CocoDocument,
    detections: Sequence[Detections],
    reader: CheckedReader | None,
    score_threshold: float,
    *,
    overlaps: Sequence[Overlap],
    evaluator: EvaluatorName = DEFAULT_EVALUATOR,
) -> Measurement:
    """Compute all metrics.

    Args:
        truth: One split.
        detections: One entry per image, with all scores, because average precision needs them.
        reader: Reads structures; None: nothing is read.
        score_threshold: Detections with a lower score are neither read nor counted in the confusion matrix.
        overlaps: The kinds of overlap used to match detections with the truth; with masks, outlines are compared too.
        evaluator: The implementation of COCO's metrics.

    Raises:
        DataError: Truth or detections are invalid.
    """
    coco = evaluate_coco(truth, detections, overlaps, evaluator)
    divided = evaluate_divided(truth, detections) if "mask" in overlaps else DividedScores({}, {}, {})
    sure = [found.above(score_threshold) for found in detections]
    readings = measure_readings(truth, sure, reader)
    metrics = coco.values | divided.values | readings.metrics
    matches = {overlap: match_detections(truth, detections, overlap) for overlap in overlaps}
    statistics, class_statistics = average_precision_statistics(matches.values())
    for overlap, one in matches.items():
        metrics |= _recalls(one, overlap)
    confusion = confusion_matrix(truth, sure)
    note = detector_note(
        divided=bool(divided.values), reads=readings.document is not None, score_threshold=score_threshold
    )
    if readings.obstacle:
        note += f" EIR has no value: {readings.obstacle}."
    values = {
        "per_class": _class_rows(coco, divided.per_class),
        "curves": coco.curves,
        "confidence": {overlap: confidence_curve(one).document() for overlap, one in matches.items() if coco.values},
        "errors": {overlap: rows for overlap, one in matches.items() if (rows := _error_rows(one))},
        "recall_at_precision": _recall_rows(matches[overlaps[-1]]),
        "sizes": _size_rows(coco, overlaps[-1]),
        "confusion": {"labels": confusion.labels, "matrix": confusion.matrix.tolist()},
        "readings": readings.document,
    }
    noun = "structure" if reader is None else reader.noun
    sections = detector_sections(values, list(coco.instances), note=note, score_threshold=score_threshold, noun=noun)
    if coco.values:
        chosen_here = truth.get("info", {}).get("split") != "test"
        sections[_PLACE_OF_SCORES:_PLACE_OF_SCORES] = score_sections(matches[overlaps[0]], chosen_here=chosen_here)
    return Measurement(
        metrics,
        sections,
        {
            image_id: object_remark(**asdict(mistakes), misread=noun if image_id in readings.wrong else "")
            for image_id, mistakes in confusion.mistakes.items()
        },
        note,
        {**statistics, **divided.statistics, **readings.statistics},
        {**class_statistics, **dict.fromkeys(divided.values, divided.class_statistics)},
        {"EIR": readings.obstacle} if readings.obstacle else {},
    )


def _class_rows(coco: CocoScores, divided: Mapping[str, float]) -> dict[str, dict[str, float]]:
    columns = [f"{overlap}_{metric}" for overlap in coco.curves for metric in _CLASS_METRICS]
    rows: dict[str, dict[str, float]] = {}
    for name, instances in coco.instances.items():
        scores = coco.per_class.get(name, {})
        rows[name] = {"instances": instances} | {metric: scores[metric] for metric in columns if metric in scores}
        if name in divided:
            rows[name]["dv_AP"] = divided[name]
    return rows


def _size_rows(coco: CocoScores, overlap: Overlap) -> dict[str, dict[str, float]]:
    """All classes, and each class with truth -> AP and highest recall by size of the objects."""
    rows = {"all classes": coco.values, **coco.per_class} if coco.values else {}
    columns = {
        f"{metric} {size}": f"{overlap}_{metric}_{size}" for metric in ("AP", "AR") for size in areas_of(overlap)[1:]
    }
    return {
        name: {column: values[metric] for column, metric in columns.items() if metric in values}
        for name, values in rows.items()
    }


def _error_rows(matches: Matches) -> dict[str, dict[str, float]]:
    """What an error means -> number and AP lost; empty without truth."""
    errors = error_breakdown(matches)
    if errors is None:
        return {}
    return {
        meaning: {"number": float(errors.counts[name]), "AP50 lost": errors.lost[name]}
        for name, meaning in MEANINGS.items()
    }


def _recalls(matches: Matches, overlap: Overlap) -> dict[str, float]:
    """Recall at each of :data:`_PRECISIONS`, such as ``box_recall_at_P90``, all classes together."""
    recalls = {precision: recall_at_precision(matches, precision) for precision in _PRECISIONS}
    return {f"{overlap}_recall_at_P{at * 100:g}": found.recall for at, found in recalls.items() if found is not None}


def _recall_rows(matches: Matches) -> dict[str, dict[str, float]]:
    """Class -> recall and score threshold for each of :data:`_PRECISIONS`; classes without truth are left out."""
    rows: dict[str, dict[str, float]] = {}
    places = {"all classes": None} | {name: place for place, name in enumerate(matches.classes)}
    for name, place in places.items():
        for precision in _PRECISIONS:
            at = recall_at_precision(matches, precision, place)
            if at is not None:
                row = rows.setdefault(name, {})
                row[f"recall at P{precision * 100:g}"] = at.recall
                if at.score_threshold is not None:
                    row[f"score at P{precision * 100:g}"] = at.score_threshold
    return rows
