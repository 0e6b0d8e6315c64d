"""Everything that evaluate and test tell of a model, by task.

Apart from :mod:`sightline.tasks.base`, so that a change of what is measured after training trains nothing again.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from sightline.data.detections import Detections
from sightline.data.formats.coco import CocoDocument
from sightline.metrics.confusion import ImageMistakes
from sightline.metrics.exact_match import Reader

MEASURES = {
    "instance_segmentation": "sightline.tasks.instance_segmentation.measurement:measure",
    "object_detection": "sightline.tasks.object_detection.measurement:measure",
}
"""Task -> module and function, imported on use."""


class Measurement(Protocol):
    """One model on one split."""

    @property
    def metrics(self) -> dict[str, float]:
        """By name; what cannot be computed is left out."""
        ...

    @property
    def mistakes(self) -> Mapping[int, ImageMistakes]:
        """What is wrong in each image, by its id."""
        ...

    def document(self, truth: CocoDocument) -> dict[str, Any]:
        """The measurement as JSON values, as ``summary.json`` has it."""
        ...


class Measure(Protocol):
    """Computes every metric of a task."""

    def __call__(
        self, truth: CocoDocument, detections: Sequence[Detections], reader: Reader | None, score_threshold: float
    ) -> Measurement:
        """Compute every metric.

        Args:
            truth: One split.
            detections: One entry an image, of every score.
            reader: What to read; None: nothing.
            score_threshold: Detections below it are neither read nor counted as mistakes.

        Raises:
            DataError: Truth or detections that cannot be measured.
        """
        ...


def task_measure(task: str) -> Measure:
    """What measures a task.

    Args:
        task: One of :func:`sightline.config.task_declarations.task_names`.
    """
    module, _, function = MEASURES[task].partition(":")
    measure: Measure = getattr(importlib.import_module(module), function)
    return measure
