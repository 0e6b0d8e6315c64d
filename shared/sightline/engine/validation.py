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
    metrics, thresholds = group.from_first(_measured(training) if group.is_first else ({}, {}))
    training.card = replace(training.card, iteration=training.state.iteration, metrics=metrics, thresholds=thresholds)
    return metrics


def _measured(training: Training) -> tuple[dict[str, float], dict[str, float]]:
    """The metrics of the predictions on the val split, and the operating thresholds that are chosen on it."""
    task, truth, found = training.task, training.validation.truth, training.predictions
    return task.evaluate(truth, found, training.card.reading), task.thresholds(truth, found)
