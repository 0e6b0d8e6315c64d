"""Readings from the detections of a model."""

from __future__ import annotations

from sightline.data.detections import Detections
from sightline.metrics.exact_match import Reading
from sightline.models.model_file import ModelCard
from sightline.tasks.readers.registry import checked_reader, usable_reading


def readings_of(detections: Detections, card: ModelCard) -> list[Reading]:
    """The readings from the detections of a model, such as plates.

    They are empty for a model without a reader and, with a warning, if its reader is not installed here.

    Args:
        detections: Detections of one image.
        card: Card of the model that made them.
    """
    reader = checked_reader(usable_reading(card.reading, card.classes), card.classes)
    if reader is None:
        return []
    return reader.read(detections.boxes_xyxy, detections.scores, detections.category_ids)
