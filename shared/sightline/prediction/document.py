"""Predictions as JSON, written by ``sightline model predict`` next to each drawn image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sightline.data.label_schema import schema_of
from sightline.tasks.base import Prediction
from sightline.tasks.evaluators import Evaluator, open_evaluator
from sightline.tasks.readers.registry import usable_reading

if TYPE_CHECKING:
    from sightline.models.model_file import ModelCard


def prediction_document(prediction: Prediction, card: ModelCard, image: str | Path = "") -> dict[str, Any]:
    """The prediction for one image as JSON values.

    Args:
        prediction: The prediction, in pixels of the image.
        card: Card of the model that made it.
        image: Name of the image in the document.

    Returns:
        ``image``, and the description by the task (:meth:`sightline.tasks.evaluators.Evaluator.describe`; for detectors
        :meth:`sightline.tasks.detection.evaluator.DetectionEvaluator.describe`).
    """
    return {"image": str(image), **evaluator_of(card).describe(prediction)}


def evaluator_of(card: ModelCard) -> Evaluator:
    """The evaluator that describes and draws the predictions of a model, without its reader if that is missing."""
    names = dict(zip(card.category_ids, card.classes, strict=True))
    keypoints = getattr(card.architecture, "keypoints", None)
    reading = usable_reading(card.reading, card.classes)
    return open_evaluator(card.task, reading, names, None if keypoints is None else schema_of(keypoints))
