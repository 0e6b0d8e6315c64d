"""Predictions as JSON: what ``sightline model predict`` writes beside each drawn image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sightline.tasks.base import Prediction
from sightline.tasks.evaluators import Evaluator, open_evaluator

if TYPE_CHECKING:
    from sightline.models.model_file import ModelCard


def prediction_document(prediction: Prediction, card: ModelCard, image: str | Path = "") -> dict[str, Any]:
    """The prediction for one image as JSON values.

    Args:
        prediction: In the image's pixels.
        card: Of the model that made it.
        image: What the document calls the image.

    Returns:
        ``image``, and what the task says of it (:meth:`sightline.tasks.evaluators.Evaluator.describe`; of a detector
        :meth:`sightline.tasks.detection.evaluator.DetectionEvaluator.describe`).
    """
    return {"image": str(image), **evaluator_of(card).describe(prediction)}


def evaluator_of(card: ModelCard) -> Evaluator:
    """What describes and draws the predictions of a model."""
    return open_evaluator(card.task, card.reading, dict(zip(card.category_ids, card.classes, strict=True)))
