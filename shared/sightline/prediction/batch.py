"""Inference on many images, one after another; images that cannot be read are collected and skipped."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sightline.data.images import UnreadableImageError, read_image
from sightline.data.output_folder import OutputFolder
from sightline.prediction.document import prediction_document
from sightline.prediction.inputs import InputImage
from sightline.report.drawing.draw import draw_detections
from sightline.tasks.base import Predictor


@dataclass(frozen=True, slots=True)
class Prediction:
    """The result of one image.

    Attributes:
        image: Which.
        document: What was written as JSON; empty where the image is broken.
        fault: Why it could not be read; None where it could.
    """

    image: InputImage
    document: dict[str, Any]
    fault: UnreadableImageError | None = None


def predict_images(
    predictor: Predictor, images: Sequence[InputImage], out: OutputFolder, *, score: float, max_pixels: int
) -> Iterator[Prediction]:
    """Detect objects in each image, draw them, and write them as JSON; one image is in memory at a time.

    Args:
        predictor: The model.
        images: From :func:`sightline.prediction.inputs.find_images`.
        out: Where the files go; they must be free (:meth:`OutputFolder.require_free`).
        score: Detections below are left out, 0 to 1.
        max_pixels: Images with more pixels are broken ones.

    Yields:
        One entry an image, in the order given.

    Raises:
        StepError: The disk does not take the files.
    """
    out.begin()
    for entry in images:
        try:
            image = read_image(entry.path, max_pixels, "--max-pixels")
        except UnreadableImageError as fault:
            yield Prediction(entry, {}, fault)
            continue
        detections = predictor.predict(image).above(score)
        document = prediction_document(detections, predictor.card, str(entry.path))
        drawing = io.BytesIO()
        draw_detections(image, detections, predictor.class_names).save(drawing, "PNG")
        text = json.dumps(document, indent=1)
        out.write({entry.drawing: drawing.getvalue(), entry.document: text.encode()})
        yield Prediction(entry, document)
