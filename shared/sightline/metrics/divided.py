r"""Divided mean average precision, dv_mAP: average precision that looks at the outline as well as at the box.

Two objects can fill one box and still differ, so each outline is divided: its points are sorted by x and cut into
three groups of equal count, each group gets its box, and the same is done by y.  The six boxes, the slices, of a
detection must fit those of the truth::

        outline            sorted by x, 3 groups        sorted by y, 3 groups

        .-----.               +--+----+--+                 +-------+
       /       \              |  |    |  |                 +-------+
      |         |             |  |    |  |                 |       |
       \       /              |  |    |  |                 +-------+
        '-----'               +--+----+--+                 +-------+

**True or false.**  The detections of one class in one image are gone through by falling score, as COCO does.

1. Each finds the truth with the highest box IoU that no earlier one has found, if that IoU is 0.6 or more.
2. It is true if, among the truths found so far (by it or by an earlier one) and not yet taken, there is one with box
   IoU >= 0.6 and all six slice IoUs >= 0.6; it takes the one of the highest box IoU.

So matching is one to one, recall never exceeds 1, and at every rank there are no more true detections than COCO counts
at box IoU 0.6: **dv_AP <= box AP at IoU 0.6, class by class, by construction.**  A truth whose first finder has the
wrong outline stays open for a later one.

**Outlines.**  Truth and detection are both taken as masks, so that one drawn exactly fits exactly; the borders of a
mask (outer ones and those of holes) are traced through the edges of its pixels and resampled to 30 points at equal
distances along them.  Points of equal x are sorted by y, and the other way round.  A point stands for the piece of
outline around it, so its box has the distance between two points for its side, one pixel at least: the slices of
straight edges have an area, and what fits, fits at any magnification.

**Average precision** per class reads precision at 101 recalls, as COCO does; dv_mAP is the mean over the classes with
truth.  The idea, the thresholds and the number of groups are those of the license-plate pipeline that this project
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
"""Least IoU of the boxes, and of each of the six slices."""

NUM_WINDOWS = 3
"""Groups along each axis."""

OUTLINE_POINTS = 30
"""Points an outline is resampled to; a multiple of :data:`NUM_WINDOWS`."""

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class DividedScores:
    """Divided average precision, 0 to 1.

    Attributes:
        values: ``{"dv_mAP": ...}``; empty where there is no truth.
        per_class: dv_AP of each class with truth.
        box_per_class: Box AP at IoU 0.6 of the same classes, which dv_AP never exceeds: the difference is what the
            outlines cost.
    """

    values: dict[str, float]
    per_class: dict[str, float]
    box_per_class: dict[str, float]


def evaluate_divided(truth: CocoDocument, detections: Sequence[Detections]) -> DividedScores:
    """dv_mAP of ``detections`` against ``truth``, defined in the head of this module.

    Images of ``truth`` that no entry of ``detections`` names count as images in which nothing was found.

    Args:
        truth: One split; it is not changed.
        detections: At most one entry an image, in any order.

    Raises:
        DataError: As :func:`sightline.metrics.coco.evaluate_coco`; also where there are no masks.

    Example:
        A square and a triangle, both found as squares in exactly the right boxes:

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
    """Mean precision at 101 recalls, as COCO interpolates it: the best precision at that recall or a higher one.

    Args:
        scores: [N], 0 to 1.
        is_true: [N], whether each detection was matched.
        instances: Number of truths, 1 or more.

    Example:
        Two of two truths found, with one false detection between them; precision is 1 up to recall 0.5, then 2/3:

        >>> average = average_precision(np.array([0.9, 0.8, 0.7]), np.array([True, False, True]), 2)
        >>> round(average, 4), round((51 * 1 + 50 * 2 / 3) / 101, 4)
        (0.835, 0.835)
    """
    order = np.argsort(-scores, kind="stable")
    found = np.cumsum(is_true[order])
    recall = found / instances
    precision = np.maximum.accumulate((found / np.arange(1, len(found) + 1))[::-1])[::-1]
    # A recall that is not reached has precision 0, which stands behind the last.
    reached = np.searchsorted(recall, RECALLS, side="left")
    return float(np.append(precision, 0.0)[reached].mean())


def _no_match() -> tuple[Floats, Bools, Bools]:
    return np.zeros(0), np.zeros(0, bool), np.zeros(0, bool)


def _match(
    truths: Sequence[CocoAnnotation], found: Detections, category_id: int, size: tuple[int, int]
) -> tuple[Floats, Bools, Bools]:
    """Scores of the detections of one class in one image, and whether each is true by box, and by outline too."""
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
        # Of equally good truths pycocotools takes the last.
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
    """Whether detection i and truth j agree in all slices; outlines are traced for the pairs that are asked for."""
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
    """The border of a mask as :data:`OUTLINE_POINTS` points at equal distances along it.

    Returns:
        float64 [30, 2], x and y in pixels, and the distance between two points; None for a mask without pixels.
    """
    from contourpy import contour_generator
    from pycocotools import mask as coco_mask

    x, y, width, height = covered_box(mask)
    if not width or not height:
        return None
    pixels = np.pad(coco_mask.decode(mask)[y : y + height, x : x + width], 1).astype(np.float64)
    # A value stands at the middle of its pixel, and the padding has moved everything by one.
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

    None for a mask without pixels.

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
    # Rounded, so that an edge that is straight on paper is straight in floating point as well.
    x, y = np.round(points, 6).T
    sorted_points = points[np.stack([np.lexsort((y, x)), np.lexsort((x, y))])]
    groups = sorted_points.reshape(2 * NUM_WINDOWS, OUTLINE_POINTS // NUM_WINDOWS, 2)
    return np.concatenate([groups.min(axis=1) - half, groups.max(axis=1) + half], axis=1)


def slice_ious(one: Floats, other: Floats) -> Floats:
    """IoU of each of the six slices [6, 4] with its counterpart [6, 4], xyxy: float64 [6], 0 to 1."""
    overlap = np.minimum(one[:, 2:], other[:, 2:]) - np.maximum(one[:, :2], other[:, :2])
    shared = np.prod(np.clip(overlap, 0.0, None), axis=1)
    areas = np.prod(one[:, 2:] - one[:, :2], axis=1) + np.prod(other[:, 2:] - other[:, :2], axis=1)
    ious: Floats = shared / (areas - shared)
    return ious
