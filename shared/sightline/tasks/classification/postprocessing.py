"""From the output of an exported graph to a classification, without torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from sightline.data.loading.transforms import Placement
from sightline.models.export_header import ExportHeader
from sightline.tasks.classification.prediction import Classification, answers_of


def classification_of_export(
    found: Mapping[str, npt.NDArray[Any]],
    placement: Placement,  # noqa: ARG001
    image_size: tuple[int, int],  # noqa: ARG001
    header: ExportHeader,
    image_id: int = 0,
) -> Classification:
    """The classification of one image.

    Args:
        found: ``probabilities`` float32 [C], the label sets one after another.
        placement: Without meaning for classes.
        image_size: Without meaning for classes.
        header: The header of the exported model, whose card has the label sets and the operating thresholds.
        image_id: COCO id of the image.
    """
    label_sets = header.card["architecture"]["label_sets"] or [{"classes": header.classes, "multiple": False}]
    ids = dict(zip(header.classes, header.category_ids, strict=True))
    thresholds = {ids[name]: value for name, value in header.card["thresholds"].items() if name in ids}
    sizes = [(len(one["classes"]), one["multiple"]) for one in label_sets]
    probabilities = np.asarray(found["probabilities"], np.float32)
    return Classification(image_id, answers_of(probabilities, sizes, header.category_ids, thresholds))


POSTPROCESSING = classification_of_export
