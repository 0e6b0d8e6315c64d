"""Everything that evaluate and test tell of a model, by task.

Apart from :mod:`sightline.tasks.base`, so that a change of what is measured after training trains nothing again.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from sightline.data.detections import Detections
from sightline.data.formats.coco import CocoDocument
from sightline.metrics.exact_match import Reader
from sightline.report.sections import Remark, Section

MEASURES = {
    "instance_segmentation": "sightline.tasks.instance_segmentation.measurement:measure",
    "object_detection": "sightline.tasks.object_detection.measurement:measure",
}
"""Task -> module and function, imported on use."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """One model on one split.

    Attributes:
        metrics: By name, 0 to 1; what cannot be computed is left out.
        sections: What a page shows of it.
        remarks: What is to be said of each image, by its id; an image without an entry has no mistake.
        note: On what conditions the metrics were computed, full sentences.
    """

    metrics: dict[str, float]
    sections: Sequence[Section] = ()
    remarks: Mapping[int, Remark] = field(default_factory=dict)
    note: str = ""

    def document(self) -> dict[str, Any]:
        """The measurement as JSON values, as ``summary.json`` has it."""
        sections = [section.model_dump(mode="json") for section in self.sections]
        return {"metrics": self.metrics, "note": self.note, "sections": sections}

    def remark(self, image_id: int) -> Remark:
        """What is to be said of an image."""
        return self.remarks.get(image_id, Remark())


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
