"""All metrics of one detector on one split, with their page sections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from sightline.data.detections import Detections
from sightline.data.formats.coco import CocoDocument
from sightline.metrics.coco import CocoScores, Overlap, evaluate_coco
from sightline.metrics.confidence import confidence_curve
from sightline.metrics.confusion import confusion_matrix
from sightline.metrics.divided import DividedScores, evaluate_divided
from sightline.metrics.matches import average_precision_statistics, match_detections
from sightline.report.detector_sections import detector_note, detector_sections
from sightline.report.sections import object_remark
from sightline.tasks.detection.reading_measurement import measure_readings
from sightline.tasks.evaluators import Measurement
from sightline.tasks.readers.checked import CheckedReader

_CLASS_METRICS = ("AP", "AP50")
"""The COCO metrics in the table per class, for each kind of overlap."""


def measure_detections(
    truth: CocoDocument,
    detections: Sequence[Detections],
    reader: CheckedReader | None,
    score_threshold: float,
    *,
    overlaps: Sequence[Overlap],
) -> Measurement:
    """Compute all metrics.

    Args:
        truth: One split.
        detections: One entry per image, with all scores, because average precision needs them.
        reader: Reads structures; None: nothing is read.
        score_threshold: Detections with a lower score are neither read nor counted in the confusion matrix.
        overlaps: The kinds of overlap used to match detections with the truth; with masks, outlines are compared too.

    Raises:
        DataError: Truth or detections are invalid.
    """
    coco = evaluate_coco(truth, detections, overlaps)
    divided = evaluate_divided(truth, detections) if "mask" in overlaps else DividedScores({}, {}, {})
    sure = [found.above(score_threshold) for found in detections]
    readings = measure_readings(truth, sure, reader)
    metrics = coco.values | divided.values | readings.metrics
    matches = {overlap: match_detections(truth, detections, overlap) for overlap in overlaps}
    statistics, class_statistics = average_precision_statistics(matches.values())
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
        "confusion": {"labels": confusion.labels, "matrix": confusion.matrix.tolist()},
        "readings": readings.document,
    }
    noun = "structure" if reader is None else reader.noun
    return Measurement(
        metrics,
        detector_sections(values, list(coco.instances), note=note, score_threshold=score_threshold, noun=noun),
        {image_id: object_remark(**asdict(mistakes)) for image_id, mistakes in confusion.mistakes.items()},
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
