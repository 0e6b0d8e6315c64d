"""What a reader reads from the detections of a split, measured."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sightline.data.detections import Detections
from sightline.data.formats.coco import CocoDocument
from sightline.errors import StepError
from sightline.metrics.exact_match import ExactMatch, evaluate_exact_match
from sightline.metrics.reading_errors import errors_document, verdicts
from sightline.metrics.statistic import Ratio
from sightline.tasks.readers.checked import CheckedReader

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MeasuredReadings:
    """The readings of one split.

    Attributes:
        metrics: The metric of the reading by name; empty if it has no value.
        statistics: The same by how often each image counts.
        document: JSON values for :func:`sightline.report.detector_sections.detector_sections`; None if nothing is read.
        wrong: Ids of the images with a structure that was misread, missed or read where there is none.
        obstacle: Why there is no value although there is a reader; empty if the reader works.
    """

    metrics: dict[str, float] = field(default_factory=dict)
    statistics: Mapping[str, Ratio] = field(default_factory=dict)
    document: dict[str, Any] | None = None
    wrong: frozenset[int] = frozenset()
    obstacle: str = ""


def measure_readings(
    truth: CocoDocument, detections: Sequence[Detections], reader: CheckedReader | None
) -> MeasuredReadings:
    """Read truth and detections, and compare them; a reader that fails is an obstacle, not an error.

    Args:
        truth: One split.
        detections: One entry per image, already filtered by score.
        reader: Reads structures; None: nothing is read.

    Raises:
        DataError: Truth or detections are invalid.
    """
    if reader is None:
        return MeasuredReadings()
    try:
        found = evaluate_exact_match(truth, detections, reader)
    except StepError as error:
        _log.warning("%s", error)
        return MeasuredReadings(obstacle=str(error))
    wrong = frozenset(image.image_id for image in found.images if not image.right)
    return MeasuredReadings(found.values, found.statistics, _document(found, truth, reader.parts), wrong)


def _document(found: ExactMatch, truth: CocoDocument, parts: Sequence[str]) -> dict[str, Any]:
    names = {image["id"]: image["file_name"] for image in truth["images"]}
    return {
        "true": found.true,
        "read": found.matched,
        "false": found.false,
        "errors": errors_document(verdicts(found, parts), parts),
        "examples": [
            {
                "image": names[image.image_id],
                "truth": [reading.document() for reading in image.true],
                "read": [reading.document() for reading in image.read],
                "right": image.right,
            }
            for image in found.images
        ],
    }
