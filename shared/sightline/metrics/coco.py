"""COCO's average precision and recall of boxes and, if a task has them, masks.

The definitions are those of https://cocodataset.org/#detection-eval.  Evaluators return wrong numbers for invalid
input: with pycocotools an annotation id of 0 or a duplicate id makes matches disappear, a NaN score is sorted
arbitrarily, and a class without truth gives -1.  All of these are caught here.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from sightline.data.detections import Detections
from sightline.data.formats.coco import CocoDocument
from sightline.errors import DataError
from sightline.metrics import coco_evaluator, statistic
from sightline.metrics.coco_evaluator import DEFAULT_EVALUATOR, CocoArrays, EvaluatorName, areas_of, coco_arrays

MAX_DETECTIONS = coco_evaluator.MAX_DETECTIONS["box"][-1]
"""Maximum number of detections per class and image; those with the highest scores count, as in COCO."""

RECALLS = statistic.RECALLS
"""The recall levels at which precision is sampled."""

Overlap = Literal["box", "mask"]


@dataclass(frozen=True, slots=True)
class CocoScores:
    """Average precision and recall, 0 to 1; values without truth are left out.

    Attributes:
        values: COCO's twelve numbers: ``box_AP`` (mean over IoU 0.50, 0.55, ... 0.95), ``box_AP50``, ``box_AP75``, and
            ``box_AR_1``, ``box_AR_10``, ``box_AR_100`` (the highest recall with so many detections per class and image,
            mean over the same IoUs), each the mean over the classes with truth; ``box_AP_small``, ``box_AP_medium``,
            ``box_AP_large``, ``box_AR_small`` and so on if there is truth of that size; likewise ``mask_AP`` and so on
            if masks are measured.
        per_class: The same for each class with truth.
        curves: ``"box"``, ``"mask"`` -> class name -> precision at :data:`RECALLS`, at IoU 0.5.
        instances: Number of true objects of every class.
    """

    values: dict[str, float]
    per_class: dict[str, dict[str, float]]
    curves: dict[str, dict[str, list[float]]]
    instances: dict[str, int]


def evaluate_coco(
    truth: CocoDocument,
    detections: Sequence[Detections],
    overlaps: Sequence[Overlap] = ("box", "mask"),
    evaluator: EvaluatorName = DEFAULT_EVALUATOR,
) -> CocoScores:
    """Average precision and recall of ``detections`` against ``truth``.

    An image of ``truth`` without an entry in ``detections`` counts as an image without detections.

    Args:
        truth: One split; it is not changed.
        detections: At most one entry per image, in any order.
        overlaps: The kinds of overlap used to match detections with the truth; only ``"mask"`` needs masks.
        evaluator: The implementation; all give the same numbers.

    Raises:
        DataError: Ids are 0 or duplicate, detections have an unknown image or class, scores are outside 0 to 1, or
            required masks are missing.

    Example:
        One square, detected exactly:

        >>> square = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [2, 2, 4, 4], "area": 16, "iscrowd": 0,
        ...           "segmentation": [[2, 2, 6, 2, 6, 6, 2, 6]]}
        >>> truth = {"images": [{"id": 1, "file_name": "a.png", "width": 10, "height": 10, "sha256": "", "group": ""}],
        ...          "annotations": [square], "categories": [{"id": 1, "name": "square"}]}
        >>> found = Detections(1, np.array([[2, 2, 6, 6]], np.float32), np.array([0.9], np.float32), np.array([1]),
        ...                    [{"size": [10, 10], "counts": "f04600000V1"}])
        >>> scores = evaluate_coco(truth, [found])
        >>> round(scores.values["box_AP"], 6), round(scores.values["mask_AP75"], 6)
        (1.0, 1.0)
    """
    check_truth(truth)
    check_detections(truth, detections, masks="mask" in overlaps)
    names = {one["id"]: one["name"] for one in sorted(truth["categories"], key=lambda one: one["id"])}
    counts = Counter(one["category_id"] for one in truth["annotations"] if not one["iscrowd"])
    values: dict[str, float] = {}
    per_class: dict[str, dict[str, float]] = {name: {} for id_, name in names.items() if counts[id_]}
    curves: dict[str, dict[str, list[float]]] = {overlap: {} for overlap in overlaps}
    for overlap in overlaps if counts else ():
        arrays = coco_arrays(truth, detections, overlap, evaluator=evaluator)
        values |= _summary(arrays, overlap, slice(None))
        for index, (id_, name) in enumerate(names.items()):
            if counts[id_]:
                per_class[name] |= _summary(arrays, overlap, slice(index, index + 1))
                curves[overlap][name] = arrays.precision[0, :, index, 0, -1].tolist()
    return CocoScores(values, per_class, curves, {name: counts[id_] for id_, name in names.items()})


def check_truth(truth: CocoDocument) -> None:
    """Reject a document that an evaluator would silently score wrongly.

    Raises:
        DataError: Ids are 0 or duplicate, annotations have unknown images or classes, or boxes or areas are not finite.
    """
    _check_ids("image ids", (image["id"] for image in truth["images"]))
    _check_ids("annotation ids", (annotation["id"] for annotation in truth["annotations"]))
    _check_ids("category ids", (category["id"] for category in truth["categories"]))
    images = {image["id"] for image in truth["images"]}
    categories = {category["id"] for category in truth["categories"]}
    for annotation in truth["annotations"]:
        where = f"annotation {annotation['id']} of the COCO document"
        if annotation["image_id"] not in images:
            raise DataError(f"{where} refers to the missing image {annotation['image_id']}; run record again")
        if annotation["category_id"] not in categories:
            raise DataError(
                f"{where} has category {annotation['category_id']}; expected one of {sorted(categories)}; "
                "run record again"
            )
        if not all(math.isfinite(number) for number in [*annotation["bbox"], annotation["area"]]):
            raise DataError(
                f"{where} has bbox {annotation['bbox']} and area {annotation['area']}; expected finite numbers; "
                "run record again"
            )


def check_detections(truth: CocoDocument, detections: Sequence[Detections], *, masks: bool = False) -> None:
    """Reject detections that do not match ``truth``.

    Args:
        truth: One split.
        detections: At most one entry per image.
        masks: Whether masks are required.

    Raises:
        DataError: An image is duplicate or unknown, a class is unknown, boxes are not finite, scores are outside 0 to
            1, the numbers of boxes, scores, classes and masks differ, or required masks are missing or do not have the
            size of their image.
    """
    images = {image["id"]: [image["height"], image["width"]] for image in truth["images"]}
    categories = sorted(category["id"] for category in truth["categories"])
    _check_ids("image ids of the detections", (found.image_id for found in detections))
    for found in detections:
        where = f"detections of image {found.image_id}"
        if found.image_id not in images:
            raise DataError(f"{where}: the split has no such image; run the model on the images of this split")
        unknown = sorted(set(found.category_ids.tolist()) - set(categories))
        if unknown:
            raise DataError(
                f"{where} have categories {unknown}, expected ids among {categories}; use a model with these classes"
            )
        if not bool(np.all((found.scores >= 0.0) & (found.scores <= 1.0))):
            raise DataError(f"{where} have scores outside 0 to 1; the model is broken, train it again")
        if not bool(np.all(np.isfinite(found.boxes_xyxy))):
            raise DataError(f"{where} have boxes that are not finite; the model is broken, train it again")
        if masks and found.masks is None:
            raise DataError(f"{where} have no masks, which this metric needs; measure only boxes")
        sizes = [mask["size"] for mask in found.masks or () if masks and mask["size"] != images[found.image_id]]
        if sizes:
            raise DataError(
                f"{where} have masks of size {sizes[0]}; expected {images[found.image_id]}, the height and width of "
                "the image; run the model on the images of this split"
            )
        counts = {len(found.scores), len(found.boxes_xyxy), len(found.category_ids)}
        if len(counts if found.masks is None else counts | {len(found.masks)}) != 1:
            raise DataError(
                f"{where} have {len(found.scores)} scores, but a different number of boxes, classes or masks"
            )


def _check_ids(kind: str, ids: Iterable[int]) -> None:
    counted = Counter(ids)
    wrong = sorted(id_ for id_, count in counted.items() if count > 1 or id_ < 1)
    if wrong:
        raise DataError(f"{kind} must be unique and at least 1, invalid: {wrong[:10]}; run the previous step again")


def _summary(arrays: CocoArrays, overlap: Overlap, classes: slice) -> dict[str, float]:
    """COCO's twelve numbers for some of the classes; those without truth are left out."""
    precision, recall = arrays.precision[:, :, classes], arrays.recall[:, classes]
    parts = {"AP": precision[..., 0, -1], "AP50": precision[0, ..., 0, -1], "AP75": precision[5, ..., 0, -1]}
    for index, most in enumerate(coco_evaluator.MAX_DETECTIONS[overlap]):
        parts[f"AR_{most}"] = recall[..., 0, index]
    for index, size in enumerate(areas_of(overlap)[1:], start=1):
        parts |= {f"AP_{size}": precision[..., index, -1], f"AR_{size}": recall[..., index, -1]}
    return {f"{overlap}_{name}": mean_with_truth(part) for name, part in parts.items() if (part > -1).any()}


def mean_with_truth(values: npt.NDArray[np.float64]) -> float:
    """The mean of all values with truth, of which there is at least one; an evaluator marks the others by -1."""
    return float(values[values > -1].mean())


def box_ious(found_xywh: npt.NDArray[np.float64], truth_xywh: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Pairwise IoU of boxes [N, 4] and [M, 4], both x, y, width, height in pixels: float64 [N, M], 0 to 1."""
    from pycocotools import mask as coco_mask

    if not len(found_xywh) or not len(truth_xywh):
        return np.zeros((len(found_xywh), len(truth_xywh)))
    ious: npt.NDArray[np.float64] = coco_mask.iou(found_xywh, truth_xywh, np.zeros(len(truth_xywh), np.uint8))
    return ious
