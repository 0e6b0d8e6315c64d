"""Predictions as JSON: what ``sightline model predict`` writes beside each drawn image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sightline.data.detections import Detections
from sightline.metrics.exact_match import Reading
from sightline.tasks.base import Prediction
from sightline.tasks.evaluators import Evaluator, open_evaluator
from sightline.tasks.readers.registry import open_reader

if TYPE_CHECKING:
    from sightline.models.model_file import ModelCard


def readings_of(detections: Detections, card: ModelCard) -> list[Reading]:
    """What the detections of a model read, such as plates; empty for a model that reads nothing.

    Args:
        detections: Of one image.
        card: Of the model that made them.
    """
    reader = open_reader(card.reading, card.classes)
    return (
        []
        if reader is None
        else reader.read(detections.boxes_xyxy, detections.scores, detections.category_ids)
    )  # fmt: skip


def prediction_document(prediction: Prediction, card: ModelCard, image: str | Path = "") -> dict[str, Any]:
    """The prediction for one image as JSON values.

    Args:
        prediction: In the image's pixels.
        card: Of the model that made it.
        image: What the document calls the image.

    Returns:
        ``image``, and what the task says of it (:meth:`sightline.tasks.evaluators.Evaluator.describe`).  Of a detector:
        ``detections``, the surest first, each with ``class``, ``category_id``, ``score`` (0 to 1), ``box_xyxy``
        (pixels) and, where the task has masks, ``mask`` (COCO run-length encoding); ``readings`` where the model reads
        something.
    """
    return {"image": str(image), **evaluator_of(card).describe(prediction)}


def evaluator_of(card: ModelCard) -> Evaluator:
    """What describes and draws the predictions of a model."""
    return open_evaluator(card.task, card.reading, dict(zip(card.category_ids, card.classes, strict=True)))
