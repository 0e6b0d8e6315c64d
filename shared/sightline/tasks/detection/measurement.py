"""Every metric of one detector on one split, and how ``summary.json`` tells it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sightline.data.detections import Detections
from sightline.data.formats.coco import CocoDocument
from sightline.metrics.coco import CocoScores, Overlap, evaluate_coco
from sightline.metrics.confusion import Confusion, ImageMistakes, confusion_matrix
from sightline.metrics.divided import DividedScores, evaluate_divided
from sightline.metrics.exact_match import ExactMatch, Reader, evaluate_exact_match

_CLASS_METRICS = ("AP", "AP50")
"""The columns of COCO in the table per class, for each overlap."""


@dataclass(frozen=True, slots=True)
class DetectionMeasurement:
    """One model on one split.

    Attributes:
        metrics: By name, 0 to 1; what cannot be computed is left out.
        coco: Per class, with curves.
        divided: dv_AP of each class with truth; empty where there are no masks.
        confusion: Of the detections above the score threshold.
        readings: Of the detections above the score threshold; None where nothing is read.
    """

    metrics: dict[str, float]
    coco: CocoScores
    divided: dict[str, float]
    confusion: Confusion
    readings: ExactMatch | None

    @property
    def mistakes(self) -> dict[int, ImageMistakes]:
        """What is wrong in each image, by its id."""
        return self.confusion.mistakes

    def document(self, truth: CocoDocument) -> dict[str, Any]:
        """The measurement as JSON values."""
        document: dict[str, Any] = {
            "metrics": self.metrics,
            "per_class": {name: self._class_row(name) for name in self.coco.instances},
            "curves": self.coco.curves,
            "confidence": {overlap: curve.document() for overlap, curve in self.coco.confidence.items()},
            "confusion": {"labels": self.confusion.labels, "matrix": self.confusion.matrix.tolist()},
        }
        if self.readings is not None:
            document["readings"] = _readings_document(self.readings, truth)
        return document

    def _class_row(self, name: str) -> dict[str, float]:
        scores = self.coco.per_class.get(name, {})
        row: dict[str, float] = {"instances": self.coco.instances[name]}
        columns = [f"{overlap}_{metric}" for overlap in self.coco.curves for metric in _CLASS_METRICS]
        row |= {metric: scores[metric] for metric in columns if metric in scores}
        return row | ({"dv_AP": self.divided[name]} if name in self.divided else {})


def measure_detections(
    truth: CocoDocument,
    detections: Sequence[Detections],
    reader: Reader | None,
    score_threshold: float,
    *,
    overlaps: Sequence[Overlap],
) -> DetectionMeasurement:
    """Compute every metric.

    Args:
        truth: One split.
        detections: One entry an image, of every score: average precision needs them all.
        reader: What to read; None: nothing.
        score_threshold: Detections below it are neither read nor counted in the confusion matrix.
        overlaps: By what detections are matched with the truth; outlines are compared where masks are among them.

    Raises:
        DataError: Truth or detections that cannot be measured.
    """
    coco = evaluate_coco(truth, detections, overlaps)
    divided = evaluate_divided(truth, detections) if "mask" in overlaps else DividedScores({}, {}, {})
    sure = [found.above(score_threshold) for found in detections]
    readings = None if reader is None else evaluate_exact_match(truth, sure, reader)
    metrics = coco.values | divided.values | ({} if readings is None else readings.values)
    return DetectionMeasurement(metrics, coco, divided.per_class, confusion_matrix(truth, sure), readings)


def _readings_document(readings: ExactMatch, truth: CocoDocument) -> dict[str, Any]:
    names = {image["id"]: image["file_name"] for image in truth["images"]}
    return {
        "true": readings.true,
        "read": readings.matched,
        "false": readings.false,
        "examples": [
            {
                "image": names[image.image_id],
                "truth": [reading.document() for reading in image.true],
                "read": [reading.document() for reading in image.read],
                "right": image.right,
            }
            for image in readings.images
        ],
    }
