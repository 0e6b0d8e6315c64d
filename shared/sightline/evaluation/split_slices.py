"""The slices of the split that a step measures, and their section on its page."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sightline.config.schema import Config
from sightline.config.task_declarations import headline_metrics, is_higher_better, known_metrics
from sightline.data.formats.coco import CocoDocument
from sightline.evaluation.image_attributes import read_attributes
from sightline.evaluation.inference import related_images
from sightline.evaluation.slices import image_slices, slice_scores, slices_section
from sightline.metrics.statistic import Bools
from sightline.tasks.evaluators import Measurement

_AFTER = "classes"
"""The section of a measurement that the slices follow."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SplitSlices:
    """The slices of a split.

    Attributes:
        images: Name of a slice -> whether each image of the split is in it, [I].
        groups: The group of each image, [I].
        metrics: The most important metrics; the first one with values per image is shown, or else any other.
        notes: What could not be used for slices, in full sentences.
    """

    images: Mapping[str, Bools]
    groups: Sequence[str]
    metrics: Sequence[str]
    notes: Sequence[str] = ()

    def added_to(self, measured: Measurement) -> Measurement:
        """A measurement with a section of its metric on the slices; as it is if no metric has values per image."""
        known = measured.statistics
        metric = next((name for name in (*self.metrics, *known) if name in known), None)
        if metric is None or not self.images:
            return measured
        declared = known_metrics().get(metric)
        scores = slice_scores(
            known[metric],
            self.images,
            self.groups,
            of_classes=measured.class_statistics.get(metric),
            higher_is_better=is_higher_better(metric),
        )
        highest = 1.0 if declared is not None and declared.unit == "0 to 1" else np.inf
        section = slices_section(metric, scores, self.notes, highest=highest)
        ids = [one.id for one in measured.sections]
        place = ids.index(_AFTER) + 1 if _AFTER in ids else len(ids)
        return replace(measured, sections=[*measured.sections[:place], section, *measured.sections[place:]])


def slices_of_split(config: Config, truth: CocoDocument, root: Path) -> SplitSlices:
    """Find the slices of a split; what cannot be used for them is logged, and stated on the page.

    Args:
        config: The complete configuration.
        truth: The split.
        root: The folder that its file names are relative to: the checkout of the data repository.
    """
    work = Path(config.work.dir)
    attributes = read_attributes(config.evaluate.attributes, truth["images"], root, work / "attributes")
    for note in attributes.notes:
        _log.warning("slices: %s", note)
    images = image_slices(
        truth,
        root,
        max_pixels=config.data.max_pixels,
        attributes=attributes,
        kept=work / "image-qualities.json",
    )
    metrics = [*config.evaluate.select_by, *(metric.name for metric in headline_metrics(config.task))]
    return SplitSlices(images, related_images(truth), metrics, attributes.notes)
