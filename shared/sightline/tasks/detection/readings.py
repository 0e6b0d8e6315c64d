"""What a model reads from its detections."""

from __future__ import annotations

from sightline.data.detections import Detections
from sightline.metrics.exact_match import Reading
from sightline.models.model_file import ModelCard
from sightline.tasks.readers.registry import open_reader


def readings_of(detections: Detections, card: ModelCard) -> list[Reading]:
    """What the detections of a model read, such as plates; empty for a model that reads nothing.

    Args:
        detections: Of one image.
        card: Of the model that made them.
    """
    reader = open_reader(card.reading, card.classes)
    if reader is None:
        return []
    return reader.read(detections.boxes_xyxy, detections.scores, detections.category_ids)
