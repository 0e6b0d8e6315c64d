"""Inference on many images, one after another; images that cannot be read are collected and skipped."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL.Image import Image

from sightline.config.task_declarations import task_declaration
from sightline.data.images import UnreadableImageError, read_image
from sightline.data.label_schema import schema_of
from sightline.data.output_folder import OutputFolder
from sightline.errors import ModelFileError
from sightline.models.model_file import ModelCard
from sightline.prediction.document import evaluator_of
from sightline.prediction.inputs import InputImage
from sightline.report.drawing.landmarks import LandmarkMode, draw_landmarks
from sightline.tasks.base import Predictor

DEFAULT_SCORE = 0.5
"""Lowest score of the predictions of a class without a chosen threshold."""


@dataclass(frozen=True, slots=True)
class Predicted:
    """The result of one image.

    Attributes:
        image: The image.
        line: The prediction in a few words; empty if the image could not be read.
        fault: Reason why it could not be read; None if it could.
    """

    image: InputImage
    line: str
    fault: UnreadableImageError | None = None


Drawing = Callable[[Image, Any], Image]
"""Draws the prediction for an image, already filtered by score."""


def landmarks_of(predictor: Predictor, mode: LandmarkMode) -> Drawing:
    """Draws landmark pictures; see :func:`sightline.report.drawing.landmarks.draw_landmarks`.

    Raises:
        ModelFileError: The model predicts no keypoints.
    """
    keypoints = getattr(predictor.card.architecture, "keypoints", None)
    schema = None if keypoints is None else schema_of(keypoints)
    if schema is None:
        raise ModelFileError(
            f"--draw landmarks: the model is for the task {predictor.card.task}, and predicts no keypoints; use a "
            "model of the task keypoints, or leave --draw out"
        )
    return lambda image, prediction: draw_landmarks(image, prediction.keypoints[..., :2], schema, mode)


def shown_from(card: ModelCard) -> float | dict[int, float]:
    """The lowest score of the predictions to show, as the model file says.

    Args:
        card: The card of the model.

    Returns:
        The threshold of each category id, as chosen on the val split, :data:`DEFAULT_SCORE` for a class without one.  A
        single number if none was chosen: 0 if no score decides which predictions of the task count.
    """
    declared = task_declaration(card.task)
    if not declared.scored or not card.thresholds:
        return declared.shown_from(DEFAULT_SCORE)
    names = zip(card.category_ids, card.classes, strict=True)
    return {id_: card.thresholds.get(name, DEFAULT_SCORE) for id_, name in names}


def predict_images(
    predictor: Predictor,
    images: Sequence[InputImage],
    out: OutputFolder,
    *,
    score: float | Mapping[int, float],
    max_pixels: int,
    draw: Drawing | None = None,
) -> Iterator[Predicted]:
    """Predict on each image, draw the prediction, and write it as JSON; one image is in memory at a time.

    Args:
        predictor: The model.
        images: From :func:`sightline.prediction.inputs.find_images`.
        out: The output folder; the files must not exist yet (:meth:`OutputFolder.require_free`).
        score: Lowest score to keep, 0 to 1; or that of each category id.
        max_pixels: Images with more pixels are treated as unreadable.
        draw: Draws the prediction; None: as the task does.

    Yields:
        One entry per image, in the order given.

    Raises:
        StepError: The files cannot be written.
    """
    evaluator = evaluator_of(predictor.card)
    draw = draw or evaluator.draw
    out.begin()
    for entry in images:
        try:
            image = read_image(entry.path, max_pixels, "--max-pixels")
        except UnreadableImageError as fault:
            yield Predicted(entry, "", fault)
            continue
        prediction = predictor.predict(image).above(score)
        document = {"image": str(entry.path), **evaluator.describe(prediction)}
        drawing = io.BytesIO()
        draw(image, prediction).save(drawing, "PNG")
        text = json.dumps(document, indent=1)
        out.write({entry.drawing: drawing.getvalue(), entry.document: text.encode()})
        yield Predicted(entry, evaluator.line(document))
