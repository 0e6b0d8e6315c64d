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
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
import numpy.typing as npt

from sightline.data.detections import Detections
from sightline.data.formats.coco import CocoDocument, RunLengthEncoding
from sightline.data.rasterizer import encode_outline
from sightline.metrics.coco import MAX_DETECTIONS, RECALLS, box_ious, check_detections, check_truth
from sightline.metrics.outlines import OUTLINE_POINTS, outlines
from sightline.metrics.statistic import AveragePrecision, ClassMatches

IOU_THRESHOLD = 0.6
"""Minimum IoU of the boxes, and of each of the six slices."""

NUM_WINDOWS = 3
"""Number of groups along each axis; :data:`~sightline.metrics.outlines.OUTLINE_POINTS` is a multiple of it."""

_TOGETHER = 1 << 14
"""Number of masks whose outlines are in memory together."""

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class DividedScores:
    """Divided average precision, 0 to 1.

    Attributes:
        values: ``{"dv_mAP": ...}``; empty without truth.
        per_class: dv_AP of each class with truth.
        box_per_class: Box AP at IoU 0.6 of the same classes, which dv_AP never exceeds; the difference is due to wrong
            outlines.
        matches: The matches by outline of each class with truth.
    """

    values: dict[str, float]
    per_class: dict[str, float]
    box_per_class: dict[str, float]
    matches: dict[str, ClassMatches] = field(default_factory=dict, compare=False)

    @property
    def statistics(self) -> dict[str, AveragePrecision]:
        """The metrics of ``values`` by how often each image counts."""
        return {name: AveragePrecision(list(self.matches.values())) for name in self.values}

    @property
    def class_statistics(self) -> dict[str, AveragePrecision]:
        """The values of ``per_class`` by how often each image counts."""
        return {name: AveragePrecision([matches]) for name, matches in self.matches.items()}


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
    ranked = _Ranked.of(truth, sorted(detections, key=lambda found: found.image_id))
    by_box, by_outline = ranked.matched(_outlines_agree(truth, ranked))
    columns = {image["id"]: column for column, image in enumerate(truth["images"])}
    places = np.array([columns[annotation["image_id"]] for annotation in truth["annotations"]], np.intp)
    categories = np.array([annotation["category_id"] for annotation in truth["annotations"]], np.int64)
    of_detections = np.array([columns[image_id] for image_id in ranked.images.tolist()], np.intp)
    per_class, box_per_class, matches = {}, {}, {}
    for category in truth["categories"]:
        name, true = category["name"], places[categories == category["id"]]
        if len(true):
            chosen = ranked.of_class(category["id"])
            right, truths = by_outline[chosen], np.bincount(true, minlength=len(columns)).astype(np.float64)
            per_class[name] = average_precision(ranked.scores[chosen], right, len(true))
            box_per_class[name] = average_precision(ranked.scores[chosen], by_box[chosen], len(true))
            matches[name] = ClassMatches(of_detections[chosen], right[None], np.zeros((1, len(right)), bool), truths)
    values = {"dv_mAP": float(np.mean(list(per_class.values())))} if per_class else {}
    return DividedScores(values, per_class, box_per_class, matches)


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


@dataclass(frozen=True, slots=True)
class _Ranked:
    """All detections that count, image by image, each image class by class, by descending score; and their candidates.

    A candidate is a true object of the class of the detection with box IoU >= 0.6.

    Attributes:
        scores: float64 [N].
        images: [N], the COCO id of the image.
        categories: [N].
        masks: The N masks.
        pairs: [P, 2], detection and true object (its position among the annotations), in the order of the detections;
            the candidates of a detection by descending IoU, of equal ones the last first, as pycocotools chooses.
    """

    scores: Floats
    images: Indices
    categories: Indices
    masks: list[RunLengthEncoding]
    pairs: Indices

    @classmethod
    def of(cls, truth: CocoDocument, detections: Sequence[Detections]) -> _Ranked:
        """Rank the detections, and find the candidates of each."""
        of_image: dict[int, list[int]] = defaultdict(list)
        for place, annotation in enumerate(truth["annotations"]):
            of_image[annotation["image_id"]].append(place)
        boxes = np.array([annotation["bbox"] for annotation in truth["annotations"]], np.float64).reshape(-1, 4)
        categories = np.array([annotation["category_id"] for annotation in truth["annotations"]], np.int64)
        chosen, pairs, count = [], [np.zeros((0, 2), np.int64)], 0
        for found in detections:
            order = _best(found)
            chosen.append(order)
            true = np.array(of_image[found.image_id], np.int64)
            if len(order) and len(true):
                ious = box_ious(found.boxes_xywh[order], boxes[true])
                fitting = (ious >= IOU_THRESHOLD) & (found.category_ids[order][:, None] == categories[true])
                ranks, columns = np.nonzero(fitting)
                by_iou = np.lexsort((-columns, -ious[ranks, columns], ranks))
                pairs.append(np.stack([count + ranks[by_iou], true[columns[by_iou]]], axis=1))
            count += len(order)
        kept = list(zip(detections, chosen, strict=True))
        no_ids = np.zeros(0, np.int64)
        return cls(
            np.concatenate([np.zeros(0), *(found.scores[order] for found, order in kept)]),
            np.concatenate([no_ids, *(np.full(len(order), found.image_id) for found, order in kept)]),
            np.concatenate([no_ids, *(found.category_ids[order] for found, order in kept)]),
            [(found.masks or [])[index] for found, order in kept for index in order.tolist()],
            np.concatenate(pairs),
        )

    def of_class(self, category_id: int) -> Indices:
        """The detections of a class, by descending score."""
        chosen = np.flatnonzero(self.categories == category_id)
        return chosen[np.argsort(-self.scores[chosen], kind="stable")]

    def matched(self, agree: Bools) -> tuple[Bools, Bools]:
        """Which detections are true positives by box, and which by outline, each bool [N].

        Args:
            agree: [P], whether the outlines of each pair match.
        """
        by_box, by_outline = np.zeros(len(self.scores), bool), np.zeros(len(self.scores), bool)
        taken: set[int] = set()
        still_open: set[int] = set()  # taken by box, not matched by outline
        detections, places, same = self.pairs[:, 0].tolist(), self.pairs[:, 1].tolist(), agree.tolist()
        for detection, group in groupby(range(len(places)), key=detections.__getitem__):
            candidates = list(group)
            nearest = next((places[pair] for pair in candidates if places[pair] not in taken), None)
            if nearest is not None:
                by_box[detection] = True
                taken.add(nearest)
                still_open.add(nearest)
            match = next((places[pair] for pair in candidates if places[pair] in still_open and same[pair]), None)
            if match is not None:
                by_outline[detection] = True
                still_open.remove(match)
        return by_box, by_outline


def _best(found: Detections) -> Indices:
    """The detections of an image by class and descending score, at most :data:`MAX_DETECTIONS` of a class."""
    order = np.lexsort((-found.scores, found.category_ids))
    categories = found.category_ids[order]
    places = np.arange(len(order)) - np.searchsorted(categories, categories)
    return order[places < MAX_DETECTIONS]


def _outlines_agree(truth: CocoDocument, ranked: _Ranked) -> Bools:
    """For each pair of a detection and a candidate whether all six slices match; only their outlines are traced."""
    sizes = {image["id"]: (image["height"], image["width"]) for image in truth["images"]}
    found, found_row = np.unique(ranked.pairs[:, 0], return_inverse=True)
    true, true_row = np.unique(ranked.pairs[:, 1], return_inverse=True)
    masks = [ranked.masks[index] for index in found]
    for index in true:
        annotation = truth["annotations"][index]
        masks.append(encode_outline(annotation["segmentation"], *sizes[annotation["image_id"]]))
    slices = slice_boxes(masks)
    ious: Floats = slice_ious(slices[found_row], slices[len(found) + true_row])
    agree: Bools = np.all(ious >= IOU_THRESHOLD, axis=1)  # those of an empty mask are NaN
    return agree


def slice_boxes(masks: Sequence[RunLengthEncoding]) -> Floats:
    """The six slices of the outline of each mask: float64 [N, 6, 4], xyxy in pixels, three by x and then three by y.

    All are NaN for an empty mask.

    Example:
        >>> from pycocotools.mask import frPyObjects
        >>> square = frPyObjects([[10, 10, 40, 10, 40, 40, 10, 40]], 50, 50)
        >>> slice_boxes(square)[0].round().astype(int).tolist()[:3]
        [[8, 8, 16, 42], [14, 8, 36, 42], [34, 8, 42, 42]]
    """
    parts = [_slices_of(masks[first : first + _TOGETHER]) for first in range(0, len(masks), _TOGETHER)]
    return np.concatenate([np.zeros((0, 2 * NUM_WINDOWS, 4)), *parts])


def _slices_of(masks: Sequence[RunLengthEncoding]) -> Floats:
    points, distances = outlines(masks)
    half = np.maximum(distances, 1.0)[:, None, None] / 2
    # Rounded, so that straight edges are exactly straight in floating point as well.
    x, y = np.round(points, 6).transpose(2, 0, 1)
    order = np.stack([np.lexsort((y, x)), np.lexsort((x, y))], axis=1)
    in_order = np.take_along_axis(points[:, None], order[..., None], axis=2)
    groups = in_order.reshape(len(masks), 2 * NUM_WINDOWS, OUTLINE_POINTS // NUM_WINDOWS, 2)
    return np.concatenate([groups.min(axis=2) - half, groups.max(axis=2) + half], axis=2)


def slice_ious(one: Floats, other: Floats) -> Floats:
    """IoU of each slice [..., 4] with the corresponding one [..., 4], xyxy: float64 [...], 0 to 1."""
    overlap = np.minimum(one[..., 2:], other[..., 2:]) - np.maximum(one[..., :2], other[..., :2])
    shared = np.prod(np.clip(overlap, 0.0, None), axis=-1)
    areas = np.prod(one[..., 2:] - one[..., :2], axis=-1) + np.prod(other[..., 2:] - other[..., :2], axis=-1)
    ious: Floats = shared / (areas - shared)
    return ious
