"""Confusion matrix of detections, with missed objects and false detections."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sightline.data.detections import Detections
from sightline.data.formats.coco import CocoAnnotation, CocoDocument
from sightline.metrics.coco import box_ious, check_detections, check_truth

BACKGROUND = "background"
"""Label of the last row (detections without a true object) and of the last column (missed objects)."""

IOU_THRESHOLD = 0.5


@dataclass(frozen=True, slots=True)
class ImageMistakes:
    """The mistakes in one image.

    Attributes:
        confused: Number of true objects detected as another class.
        missed: Number of true objects without a detection.
        false: Number of detections without a true object.
        truths: Number of all true objects in the image.
    """

    confused: int
    missed: int
    false: int
    truths: int


@dataclass(frozen=True, slots=True)
class Confusion:
    """Counts of true classes versus detected classes.

    Attributes:
        labels: The class names in the order of their ids, then :data:`BACKGROUND`.
        matrix: int64 [len(labels), len(labels)]; rows are the truth, columns the detections.
        mistakes: Image id -> its mistakes.
    """

    labels: list[str]
    matrix: npt.NDArray[np.int64]
    mistakes: dict[int, ImageMistakes]


def confusion_matrix(truth: CocoDocument, detections: Sequence[Detections]) -> Confusion:
    """Count which class each true object was detected as, by boxes at IoU 0.5 or more.

    Boxes are matched one to one by descending score: first with true objects of the detected class, then the remaining
    ones with true objects of other classes.  A box inside a box of another class is therefore not confused with it as
    long as it matches an object of its own class.

    Args:
        truth: One split.
        detections: At most one entry per image, already filtered by score.

    Raises:
        DataError: As for :func:`sightline.metrics.coco.evaluate_coco`.
    """
    check_truth(truth)
    check_detections(truth, detections)
    categories = sorted(truth["categories"], key=lambda category: category["id"])
    place = {category["id"]: index for index, category in enumerate(categories)}
    background = len(categories)
    matrix = np.zeros((background + 1, background + 1), np.int64)
    annotations: dict[int, list[CocoAnnotation]] = defaultdict(list)
    for annotation in truth["annotations"]:
        annotations[annotation["image_id"]].append(annotation)
    found = {entry.image_id: entry for entry in detections}
    mistakes: dict[int, ImageMistakes] = {}
    for image in truth["images"]:
        truths = annotations[image["id"]]
        true_classes = [place[annotation["category_id"]] for annotation in truths]
        entry = found.get(image["id"])
        detected_classes = [] if entry is None else [place[int(id_)] for id_ in entry.category_ids]
        pairs = {} if entry is None else _pairs(entry, truths)
        for rank, detected in enumerate(detected_classes):
            matrix[true_classes[pairs[rank]] if rank in pairs else background, detected] += 1
        for index in set(range(len(truths))) - set(pairs.values()):
            matrix[true_classes[index], background] += 1
        mistakes[image["id"]] = ImageMistakes(
            confused=sum(true_classes[index] != detected_classes[rank] for rank, index in pairs.items()),
            missed=len(truths) - len(pairs),
            false=len(detected_classes) - len(pairs),
            truths=len(truths),
        )
    return Confusion([*(category["name"] for category in categories), BACKGROUND], matrix, mistakes)


def _pairs(found: Detections, truths: Sequence[CocoAnnotation]) -> dict[int, int]:
    """Index of a detection -> index of the true object it is matched with."""
    boxes = np.array([annotation["bbox"] for annotation in truths], np.float64).reshape(-1, 4)
    ious = box_ious(found.boxes_xywh, boxes)
    same_class = found.category_ids[:, None] == np.array([annotation["category_id"] for annotation in truths], np.int64)
    pairs: dict[int, int] = {}
    for allowed in (same_class, ~same_class):
        for rank in np.argsort(-found.scores, kind="stable").tolist():
            if rank in pairs:
                continue
            fitting = np.flatnonzero(allowed[rank] & (ious[rank] >= IOU_THRESHOLD))
            free = [index for index in fitting.tolist() if index not in pairs.values()]
            if free:
                pairs[rank] = max(free, key=lambda index: float(ious[rank, index]))
    return pairs
