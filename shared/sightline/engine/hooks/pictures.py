"""Predicted images and precision-recall curves in the trackers."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from sightline.config.hooks import Pictures
from sightline.config.task_declarations import task_declaration
from sightline.data.label_schema import keypoint_schema
from sightline.data.loading.dataset import read_listed_image
from sightline.engine.hooks.base import Hook
from sightline.report.drawing.objects import TruthDrawing
from sightline.report.sections import CurvesSection
from sightline.tasks.evaluators import open_evaluator
from sightline.tracking import PrecisionRecallCurve, TrackedImage

if TYPE_CHECKING:
    from sightline.engine.state import Training
    from sightline.tasks.evaluators import Evaluator

SCORE = 0.5
"""Lowest score of the predictions in an image."""

FIRST_BATCH = "first_batch.jpg"

LONGER_SIDE = 800
"""Larger images are shown reduced to this size, pixels."""

_log = logging.getLogger(__name__)


class PicturesHook(Hook):
    """Draws truth beside prediction for some images of the val split, after each validation.

    Args:
        settings: The section ``train.hooks.pictures``.
    """

    def __init__(self, settings: Pictures) -> None:
        self._count = settings.images

    def before_step(self, training: Training) -> None:
        """Draw the first batch as the network sees it: to a file, and to the trackers."""
        if training.iteration != 1 or not training.group.is_first:
            return
        drawing = TruthDrawing(training.validation.truth)
        shown = [
            drawing.sample(
                Image.fromarray(one.image),
                one.labels,
                one.boxes_xyxy,
                one.segmentations,
                keypoints=one.keypoints,
                image_labels=one.image_labels,
            )
            for one in training.batch[: self._count]
        ]
        path = training.files / FIRST_BATCH
        _side_by_side(shown).save(path)
        _log.info("the first images as the network sees them: %s", path)
        ids = [f"image {one.image_id}" for one in training.batch]
        pictures = [TrackedImage(np.asarray(one), name) for one, name in zip(shown, ids, strict=False)]
        training.tracker.log_images(training.iteration, "train/first batch", pictures)

    def after_validation(self, training: Training) -> None:
        """Show images, and curves if the model is the best one so far or the last."""
        if not training.group.is_first or not training.tracker.shows_pictures:
            return
        truth = training.validation.truth
        names = {category["id"]: category["name"] for category in truth["categories"]}
        evaluator = open_evaluator(training.card.task, training.card.reading, names, keypoint_schema(truth))
        shown = [self._image(training, evaluator, place) for place in range(min(self._count, len(truth["images"])))]
        training.tracker.log_images(training.iteration, "val/truth and prediction", shown)
        if training.is_last or training.state.best_iteration == training.iteration:
            for section in evaluator.measure(truth, training.predictions, SCORE).sections:
                if isinstance(section, CurvesSection) and section.x_label == "recall":  # not a ROC curve
                    self._show_curves(training, section)

    def _image(self, training: Training, evaluator: Evaluator, place: int) -> TrackedImage:
        validation = training.validation
        listed = validation.truth["images"][place]
        image = read_listed_image(validation.root, listed, validation.max_pixels)
        annotations = [one for one in validation.truth["annotations"] if one["image_id"] == listed["id"]]
        lowest = task_declaration(training.card.task).shown_from(SCORE)
        pair = [
            evaluator.draw_truth(image, annotations, listed.get("labels", ())),
            evaluator.draw(image, training.predictions[place].above(lowest)),
        ]
        both = _side_by_side(pair)
        both.thumbnail((2 * LONGER_SIDE, LONGER_SIDE))
        return TrackedImage(np.asarray(both), f"{listed['file_name']}: truth, prediction")

    def _show_curves(self, training: Training, section: CurvesSection) -> None:
        for group, lines in section.lines.items():
            recall = {name: np.linspace(0, 1, len(precision)) for name, precision in lines.items()}
            curves = [PrecisionRecallCurve(name, recall[name], np.array(lines[name])) for name in lines]
            training.tracker.log_curves(training.iteration, f"val/{group}", curves)


def _side_by_side(images: Sequence[Image.Image]) -> Image.Image:
    row = Image.new("RGB", (sum(one.width for one in images), max(one.height for one in images)))
    left = 0
    for one in images:
        row.paste(one, (left, 0))
        left += one.width
    return row


def make_hook(settings: Pictures) -> PicturesHook | None:
    """The hook; None if it is off."""
    return PicturesHook(settings) if settings.images else None
