"""The validation of a network during training."""

from __future__ import annotations

from dataclasses import replace

from sightline.engine.state import Training
from sightline.tasks.batch_inference import predict_images


def validate(training: Training) -> dict[str, float]:
    """Compute the metrics of ``training.evaluated`` on the val split; each process predicts a share of the images."""
    group, validation = training.group, training.validation
    group.share_buffers(training.evaluated)
    predictor = training.task.predictor(training.evaluated, training.card, training.device)
    predictor = predictor.for_split(validation.truth)
    images = validation.truth["images"][group.rank :: group.size]
    found = predict_images(predictor, images, validation.root, max_pixels=validation.max_pixels, description="validate")
    training.predictions = group.gather(found)
    metrics = (
        training.task.evaluate(validation.truth, training.predictions, training.card.reading) if group.is_first else {}
    )
    metrics = group.from_first(metrics)
    training.card = replace(training.card, iteration=training.state.iteration, metrics=metrics)
    return metrics
