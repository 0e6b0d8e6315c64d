"""COCO's average precision for boxes and, if a task has them, masks, computed by pycocotools.

pycocotools returns wrong numbers for invalid input: an annotation id of 0 or a duplicate id makes matches disappear, a
NaN score is sorted arbitrarily, and a class without truth gives -1.  All of these are caught here.
"""

from __future__ import annotations

import contextlib
import io
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from sightline.data.detections import Detections
from sightline.data.formats.coco import CocoDocument
from sightline.errors import DataError
from sightline.metrics.confidence import ConfidenceCurve, confidence_curve

MAX_DETECTIONS = 100
"""Maximum number of detections per class and image; those with the highest scores count, as in COCO."""

RECALLS: npt.NDArray[np.float64] = np.linspace(0.0, 1.0, 101)
"""The recall levels at which precision is sampled."""

Overlap = Literal["box", "mask"]

_THRESHOLDS = np.linspace(0.5, 0.95, 10)
_SIZES = {"small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10)}
"""Area ranges in square pixels, as in COCO."""


@dataclass(frozen=True, slots=True)
class CocoScores:
    """Average precision, 0 to 1; values without truth are left out.

    Attributes:
        values: ``box_AP`` (mean over IoU 0.50, 0.55, ... 0.95), ``box_AP50``, ``box_AP75``, each the mean over the
            classes with truth, and ``box_AP_small``, ``box_AP_medium``, ``box_AP_large`` if there is truth of that
            size; likewise ``mask_AP`` and so on if masks are measured.
        per_class: The values over all sizes for each class with truth.
        curves: ``"box"``, ``"mask"`` -> class name -> precision at :data:`RECALLS`, at IoU 0.5.
        instances: Number of true objects of every class.
        confidence: ``"box"``, ``"mask"`` -> precision, recall and F1 by score, at IoU 0.5, all classes together.
    """

    values: dict[str, float]
    per_class: dict[str, dict[str, float]]
    curves: dict[str, dict[str, list[float]]]
    instances: dict[str, int]
    confidence: dict[str, ConfidenceCurve] = field(default_factory=dict)


def evaluate_coco(
    truth: CocoDocument, detections: Sequence[Detections], overlaps: Sequence[Overlap] = ("box", "mask")
) -> CocoScores:
    """Average precision of ``detections`` against ``truth``.

    An image of ``truth`` without an entry in ``detections`` counts as an image without detections.

    Args:
        truth: One split; it is not changed.
        detections: At most one entry per image, in any order.
        overlaps: The kinds of overlap used to match detections with the truth; only ``"mask"`` needs masks.

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
    names = {category["id"]: category["name"] for category in truth["categories"]}
    counts = Counter(annotation["category_id"] for annotation in truth["annotations"])
    values: dict[str, float] = {}
    per_class: dict[str, dict[str, float]] = {name: {} for id_, name in names.items() if counts[id_]}
    curves: dict[str, dict[str, list[float]]] = {overlap: {} for overlap in overlaps}
    confidence: dict[str, ConfidenceCurve] = {}
    for overlap in overlaps if truth["annotations"] else ():
        sizes = _sizes_with_truth(truth)
        precision, matches = _precision(truth, detections, overlap, sizes)
        confidence[overlap] = confidence_curve(matches)
        values |= _averages(precision[:, :, :, 0], overlap)
        for index, size in enumerate(sizes, start=1):
            values[f"{overlap}_AP_{size}"] = _mean(precision[:, :, :, index])
        for index, (id_, name) in enumerate(sorted(names.items())):
            if counts[id_]:
                per_class[name] |= _averages(precision[:, :, index, 0], overlap)
                curves[overlap][name] = [float(value) for value in precision[0, :, index, 0]]
    return CocoScores(values, per_class, curves, {name: counts[id_] for id_, name in names.items()}, confidence)


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
            1, the numbers of boxes, scores, classes and masks differ, or required masks are missing.
    """
    images = {image["id"] for image in truth["images"]}
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


def _sizes_with_truth(truth: CocoDocument) -> list[str]:
    areas = [annotation["area"] for annotation in truth["annotations"]]
    return [size for size, (least, most) in _SIZES.items() if any(least <= area <= most for area in areas)]


def _averages(precision: npt.NDArray[np.float64], overlap: Overlap) -> dict[str, float]:
    """AP, AP50 and AP75 from precision [thresholds, recalls, ...]."""
    return {
        f"{overlap}_AP": _mean(precision),
        f"{overlap}_AP50": _mean(precision[0]),
        f"{overlap}_AP75": _mean(precision[5]),
    }


def _mean(precision: npt.NDArray[np.float64]) -> float:
    """Mean over all values with truth; pycocotools marks values without truth by -1."""
    return float(precision[precision > -1].mean())


def _precision(
    truth: CocoDocument, detections: Sequence[Detections], overlap: Overlap, sizes: Sequence[str]
) -> tuple[npt.NDArray[np.float64], list[dict[str, Any]]]:
    """Precision [10 IoU thresholds, 101 recalls, classes by id, 1 + sizes], -1 without truth; and matches.

    The matches are the results of pycocotools for each class and image, over all sizes.
    """
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        truths, found = COCO(), COCO()
        # pycocotools modifies the annotations passed to it.
        truths.dataset = {**truth, "annotations": [dict(annotation) for annotation in truth["annotations"]]}
        truths.createIndex()
        found.dataset = {**truth, "annotations": _as_annotations(detections, overlap)}
        found.createIndex()
        evaluator = COCOeval(truths, found, "bbox" if overlap == "box" else "segm")
        evaluator.params.iouThrs = _THRESHOLDS
        evaluator.params.recThrs = RECALLS
        evaluator.params.maxDets = [MAX_DETECTIONS]
        evaluator.params.areaRng = [(0.0, 1e10), *(_SIZES[size] for size in sizes)]
        evaluator.params.areaRngLbl = ["all", *sizes]
        evaluator.evaluate()
        evaluator.accumulate()
    precision: npt.NDArray[np.float64] = evaluator.eval["precision"][..., 0]
    everything = evaluator.params.areaRng[0]
    return precision, [found for found in evaluator.evalImgs if found is not None and found["aRng"] == everything]


def _as_annotations(detections: Sequence[Detections], overlap: Overlap) -> list[dict[str, Any]]:
    """The annotations that ``COCO.loadRes`` would make; it is not used because it fails without detections."""
    from pycocotools import mask as coco_mask

    annotations: list[dict[str, Any]] = []
    for found in detections:
        first, boxes = len(annotations) + 1, boxes_xywh(found)
        masks = found.masks or []
        areas = boxes[:, 2] * boxes[:, 3] if overlap == "box" else [float(coco_mask.area(mask)) for mask in masks]
        annotations.extend(
            {
                "id": first + index,
                "image_id": found.image_id,
                "category_id": int(found.category_ids[index]),
                "score": float(found.scores[index]),
                "bbox": boxes[index].tolist(),
                "area": float(areas[index]),
                "segmentation": masks[index] if masks else [],
                "iscrowd": 0,
            }
            for index in range(len(found))
        )
    return annotations


def boxes_xywh(detections: Detections) -> npt.NDArray[np.float64]:
    """The boxes of ``detections`` in COCO's format: float64 [N, 4], x, y, width, height in pixels."""
    boxes = detections.boxes_xyxy.astype(np.float64).reshape(-1, 4)
    boxes[:, 2:] -= boxes[:, :2]
    return boxes


def box_ious(found_xywh: npt.NDArray[np.float64], truth_xywh: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Pairwise IoU of boxes [N, 4] and [M, 4], both x, y, width, height in pixels: float64 [N, M], 0 to 1."""
    from pycocotools import mask as coco_mask

    if not len(found_xywh) or not len(truth_xywh):
        return np.zeros((len(found_xywh), len(truth_xywh)))
    ious: npt.NDArray[np.float64] = coco_mask.iou(found_xywh, truth_xywh, np.zeros(len(truth_xywh), np.uint8))
    return ious
