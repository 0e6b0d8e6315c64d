r"""Divided mean average precision, dv_mAP: average precision that compares outlines as well as boxes.

Two different objects can have the same box.  Therefore each outline is divided: its points are sorted by x and split
into three groups of equal size, each with its bounding box, and the same is done by y.  The six boxes of a detection,
called slices, must match those of the truth::

        outline            sorted by x, 3 groups        sorted by y, 3 groups

        .-----.               +--+----+--+                 +-------+
       /       \              |  |    |  |                 +-------+
      |         |             |  |    |  |                 |       |
       \       /              |  |    |  |                 +-------+
        '-----'               +--+----+--+                 +-------+

**True positives.**  The detections of one class in one image are processed by descending score, as in COCO.

1. Each detection finds the true object with the highest box IoU that no earlier detection has found, if that IoU is
   0.6 or more.
2. It is a true positive if, among the true objects found so far (by it or an earlier detection) and not yet matched,
   there is one with box IoU >= 0.6 and all six slice IoUs >= 0.6; it is matched with the one with the highest box IoU.

Matching is therefore one to one, recall never exceeds 1, and at every rank there are no more true positives than COCO
counts at box IoU 0.6: **dv_AP <= box AP at IoU 0.6, class by class, by construction.**  If the first detection that
finds an object has the wrong outline, a later one can still be matched with it.

**Outlines.**  Truth and detections are both converted to masks, so that an exact copy matches exactly.  The borders of
a mask (outer borders and those of holes) are traced along the edges of its pixels and resampled to 30 equidistant
points.  Points with equal x are sorted by y, and vice versa.  A point represents the segment of the outline around it,
so its box has the distance between two points as its side, at least one pixel.  The slices of straight edges therefore
have an area, and the result does not depend on magnification.

**Average precision** per class samples precision at 101 recall levels, as in COCO; dv_mAP is the mean over the classes
with truth.  The idea, the thresholds and the number of groups come from the license-plate pipeline that this project
replaces.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sightline.data.detections import Detections
from sightline.data.formats.coco import CocoAnnotation, CocoDocument, RunLengthEncoding, Segmentation
from sightline.data.rasterizer import covered_box, encode_outline
from sightline.metrics.coco import MAX_DETECTIONS, RECALLS, box_ious, boxes_xywh, check_detections, check_truth

IOU_THRESHOLD = 0.6
"""Minimum IoU of the boxes, and of each of the six slices."""

NUM_WINDOWS = 3
"""Number of groups along each axis."""

OUTLINE_POINTS = 30
"""Number of points that an outline is resampled to; a multiple of :data:`NUM_WINDOWS`."""

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class DividedScores:
    """Divided average precision, 0 to 1.

    Attributes:
        values: ``{"dv_mAP": ...}``; empty without truth.
        per_class: dv_AP of each class with truth.
        box_per_class: Box AP at IoU 0.6 of the same classes, which dv_AP never exceeds; the difference is due to wrong
            outlines.
    """

    values: dict[str, float]
    per_class: dict[str, float]
    box_per_class: dict[str, float]


def evaluate_divided(truth: CocoDocument, detections: Sequence[Detections]) -> DividedScores:
    """dv_mAP of ``detections`` against ``truth``, as defined in the docstring of this module.

    An image of ``truth`` without an entry in ``detections`` counts as an image without detections.

    Args:
        truth: One split; it is not changed.
        detections: At most one entry per image, in any order.

    Raises:
        DataError: As for :func:`sightline.metrics.coco.evaluate_coco`; also if there are no masks.

    Example:
        A square and a triangle, both detected as squares in exactly the right boxes:

        >>> shapes = [[10, 10, 30, 10, 30, 30, 10, 30], [40, 10, 60, 10, 40, 30]]
        >>> common = {"image_id": 1, "area": 1, "iscrowd": 0}
        >>> truth = {"images": [{"id": 1, "file_name": "a.png", "width": 80, "height": 40, "sha256": "", "group": ""}],
        ...          "annotations": [{"id": k + 1, "category_id": k + 1, "bbox": [10 + 30 * k, 10, 20, 20],
        ...                           "segmentation": [shapes[k]], **common} for k in (0, 1)],
        ...          "categories": [{"id": 1, "name": "square"}, {"id": 2, "name": "triangle"}]}
        >>> from pycocotools.mask import frPyObjects
        >>> found = Detections(1, np.array([[10, 10, 30, 30], [40, 10, 60, 30]], np.float32),
        ...                    np.array([0.9, 0.8], np.float32), np.array([1, 2]),
        ...                    frPyObjects([shapes[0], [40, 10, 60, 10, 60, 30, 40, 30]], 40, 80))
        >>> scores = evaluate_divided(truth, [found])
        >>> {name: round(value, 6) for name, value in scores.per_class.items()}
        {'square': 1.0, 'triangle': 0.0}
        >>> {name: round(value, 6) for name, value in scores.box_per_class.items()}
        {'square': 1.0, 'triangle': 1.0}
        >>> round(scores.values["dv_mAP"], 6)
        0.5
    """
    check_truth(truth)
    check_detections(truth, detections, masks=True)
    truths: dict[int, dict[int, list[CocoAnnotation]]] = defaultdict(lambda: defaultdict(list))
    for annotation in truth["annotations"]:
        truths[annotation["category_id"]][annotation["image_id"]].append(annotation)
    sizes = {image["id"]: (image["height"], image["width"]) for image in truth["images"]}
    in_order = sorted(detections, key=lambda found: found.image_id)
    per_class, box_per_class = {}, {}
    for category in truth["categories"]:
        of_class = truths[category["id"]]
        matches = [_match(of_class[found.image_id], found, category["id"], sizes[found.image_id]) for found in in_order]
        scores, by_box, by_outline = (np.concatenate(column) for column in zip(_no_match(), *matches, strict=True))
        instances = sum(len(annotations) for annotations in of_class.values())
        if instances:
            per_class[category["name"]] = average_precision(scores, by_outline, instances)
            box_per_class[category["name"]] = average_precision(scores, by_box, instances)
    values = {"dv_mAP": float(np.mean(list(per_class.values())))} if per_class else {}
    return DividedScores(values, per_class, box_per_class)


def average_precision(scores: Floats, is_true: Bools, instances: int) -> float:
    """Mean precision at 101 recall levels, interpolated as in COCO: the best precision at that recall or a higher one.

    Args:
        scores: [N], 0 to 1.
        is_true: [N], whether each detection was matched.
        instances: Number of true objects, at least 1.

    Example:
        Two of two objects found, with one false detection in between; precision is 1 up to recall 0.5, then 2/3:

        >>> average = average_precision(np.array([0.9, 0.8, 0.7]), np.array([True, False, True]), 2)
        >>> round(average, 4), round((51 * 1 + 50 * 2 / 3) / 101, 4)
        (0.835, 0.835)
    """
    order = np.argsort(-scores, kind="stable")
    found = np.cumsum(is_true[order])
    recall = found / instances
    precision = np.maximum.accumulate((found / np.arange(1, len(found) + 1))[::-1])[::-1]
    # A recall level that is not reached has precision 0, the appended last value.
    reached = np.searchsorted(recall, RECALLS, side="left")
    return float(np.append(precision, 0.0)[reached].mean())


def _no_match() -> tuple[Floats, Bools, Bools]:
    return np.zeros(0), np.zeros(0, bool), np.zeros(0, bool)


def _match(
    truths: Sequence[CocoAnnotation], found: Detections, category_id: int, size: tuple[int, int]
) -> tuple[Floats, Bools, Bools]:
    """Scores of the detections of one class in one image; whether each matches by box; whether also by outline."""
    chosen = np.flatnonzero(found.category_ids == category_id)
    chosen = chosen[np.argsort(-found.scores[chosen], kind="stable")][:MAX_DETECTIONS]
    scores = found.scores[chosen].astype(np.float64)
    by_box, by_outline = np.zeros(len(chosen), bool), np.zeros(len(chosen), bool)
    if not truths or not len(chosen):
        return scores, by_box, by_outline
    ious = box_ious(boxes_xywh(found)[chosen], np.array([truth["bbox"] for truth in truths], np.float64))
    masks = found.masks or []
    agree = _slices_agree([masks[index] for index in chosen], [truth["segmentation"] for truth in truths], size)
    open_by_box, open_by_outline = set(range(len(truths))), set[int]()
    for rank in range(len(chosen)):
        fitting = np.flatnonzero(ious[rank] >= IOU_THRESHOLD).tolist()
        # Among equally good true objects pycocotools chooses the last.
        fitting.sort(key=lambda index: (-ious[rank, index], -index))
        nearest = next((index for index in fitting if index in open_by_box), None)
        if nearest is not None:
            by_box[rank] = True
            open_by_box.remove(nearest)
            open_by_outline.add(nearest)
        same = next((index for index in fitting if index in open_by_outline and agree(rank, index)), None)
        if same is not None:
            by_outline[rank] = True
            open_by_outline.remove(same)
    return scores, by_box, by_outline


def _slices_agree(
    found: Sequence[RunLengthEncoding], truths: Sequence[Segmentation], size: tuple[int, int]
) -> Callable[[int, int], bool]:
    """A function: whether all slices of detection i and true object j match; outlines are traced only when needed."""
    found_slices: dict[int, Floats | None] = {}
    truth_slices: dict[int, Floats | None] = {}

    def agree(rank: int, index: int) -> bool:
        if rank not in found_slices:
            found_slices[rank] = slice_boxes(found[rank])
        if index not in truth_slices:
            truth_slices[index] = slice_boxes(encode_outline(truths[index], *size))
        one, other = found_slices[rank], truth_slices[index]
        return one is not None and other is not None and bool(np.all(slice_ious(one, other) >= IOU_THRESHOLD))

    return agree


def outline_points(mask: RunLengthEncoding) -> tuple[Floats, float] | None:
    """The border of a mask as :data:`OUTLINE_POINTS` equidistant points.

    Returns:
        float64 [30, 2], x and y in pixels, and the distance between two points; None for an empty mask.
    """
    from contourpy import contour_generator
    from pycocotools import mask as coco_mask

    x, y, width, height = covered_box(mask)
    if not width or not height:
        return None
    pixels = np.pad(coco_mask.decode(mask)[y : y + height, x : x + width], 1).astype(np.float64)
    # A value is located at the center of its pixel, and the padding has shifted everything by one.
    shift = np.array([x - 0.5, y - 0.5])
    borders = [np.asarray(line) + shift for line in contour_generator(z=pixels).lines(0.5)]
    starts = np.concatenate([border[:-1] for border in borders])
    steps = np.concatenate([np.diff(border, axis=0) for border in borders])
    lengths = np.hypot(steps[:, 0], steps[:, 1])
    ends = np.cumsum(lengths)
    distance = float(ends[-1]) / OUTLINE_POINTS
    along = (np.arange(OUTLINE_POINTS) + 0.5) * distance
    piece = np.searchsorted(ends, along, side="right")
    share = (along - (ends - lengths)[piece]) / lengths[piece]
    return starts[piece] + steps[piece] * share[:, None], distance


def slice_boxes(mask: RunLengthEncoding) -> Floats | None:
    """The six slices of a mask's outline: float64 [6, 4], xyxy in pixels, three by x and then three by y.

    None for an empty mask.

    Example:
        >>> from pycocotools.mask import frPyObjects
        >>> [square] = frPyObjects([[10, 10, 40, 10, 40, 40, 10, 40]], 50, 50)
        >>> slice_boxes(square).round().astype(int).tolist()[:3]
        [[8, 8, 16, 42], [14, 8, 36, 42], [34, 8, 42, 42]]
    """
    traced = outline_points(mask)
    if traced is None:
        return None
    points, distance = traced
    half = max(distance, 1.0) / 2
    # Rounded, so that straight edges are exactly straight in floating point as well.
    x, y = np.round(points, 6).T
    sorted_points = points[np.stack([np.lexsort((y, x)), np.lexsort((x, y))])]
    groups = sorted_points.reshape(2 * NUM_WINDOWS, OUTLINE_POINTS // NUM_WINDOWS, 2)
    return np.concatenate([groups.min(axis=1) - half, groups.max(axis=1) + half], axis=1)


def slice_ious(one: Floats, other: Floats) -> Floats:
    """IoU of each of the six slices [6, 4] with the corresponding one [6, 4], xyxy: float64 [6], 0 to 1."""
    overlap = np.minimum(one[:, 2:], other[:, 2:]) - np.maximum(one[:, :2], other[:, :2])
    shared = np.prod(np.clip(overlap, 0.0, None), axis=1)
    areas = np.prod(one[:, 2:] - one[:, :2], axis=1) + np.prod(other[:, 2:] - other[:, :2], axis=1)
    ious: Floats = shared / (areas - shared)
    return ious
