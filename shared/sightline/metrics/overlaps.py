"""Overlaps of detections with true objects of the same image, for all images of a split at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sightline.data.detections import Detections
from sightline.data.formats.coco import CocoDocument
from sightline.data.keypoint_detections import KeypointDetections
from sightline.data.rasterizer import encode_outline
from sightline.metrics.coco_evaluator import AREAS, MAX_DETECTIONS, Kind
from sightline.metrics.keypoint_similarity import keypoint_similarities
from sightline.metrics.statistic import Bools, Columns, Floats

LEAST_OVERLAP = 0.1
"""Boxes and masks that overlap less are not compared further: neither a match nor an inexact detection."""

_PAIRS_AT_ONCE = 200_000


@dataclass(frozen=True, slots=True)
class TrueObjects:
    """The true objects of a split in the order of the document.

    Attributes:
        images: [G], positions of their images in the document.
        classes: [G], positions of their classes by category id.
        ignored: [G], whether an object need not be found, such as a crowd.
        crowds: [G], whether any number of detections may be matched with an object.
    """

    images: Columns
    classes: Columns
    ignored: Bools
    crowds: Bools


@dataclass(frozen=True, slots=True)
class Found:
    """The detections that count, at most ``MAX_DETECTIONS`` per class and image.

    They are ordered by class, and within a class by descending score, those with equal scores by the id of the image
    and then as they were given, which is how COCO's evaluation ranks them.

    Attributes:
        images: [N], positions of their images in the document.
        classes: [N], positions of their classes by category id.
        scores: [N], 0 to 1.
        outside: [N], whether the area is outside COCO's range ``all``, so that an unmatched detection is no error.
        given: [N], positions among all given detections, one image after the other.
    """

    images: Columns
    classes: Columns
    scores: npt.NDArray[np.float32]
    outside: Bools
    given: Columns


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of a detection and a true object in the same image.

    Attributes:
        detections: [P], positions in :class:`Found`.
        objects: [P], positions in :class:`TrueObjects`.
        overlaps: [P], IoU or OKS.
    """

    detections: Columns
    objects: Columns
    overlaps: Floats

    def where(self, chosen: Bools) -> Pairs:
        """Some of the pairs, by [P]."""
        return Pairs(self.detections[chosen], self.objects[chosen], self.overlaps[chosen])


def true_objects(truth: CocoDocument, kind: Kind) -> TrueObjects:
    """The true objects of a split."""
    places = {image["id"]: place for place, image in enumerate(truth["images"])}
    ids = sorted(category["id"] for category in truth["categories"])
    classes = {id_: place for place, id_ in enumerate(ids)}
    annotations = truth["annotations"]
    least, most = AREAS["all"]
    crowds = np.array([bool(one["iscrowd"]) for one in annotations], dtype=bool)
    outside = np.array([not least <= one["area"] <= most for one in annotations], dtype=bool)
    unlabelled = np.array([kind == "keypoint" and not one.get("num_keypoints") for one in annotations], dtype=bool)
    return TrueObjects(
        np.array([places[one["image_id"]] for one in annotations], np.intp),
        np.array([classes[one["category_id"]] for one in annotations], np.intp),
        crowds | outside | unlabelled,
        crowds,
    )


def found_objects(truth: CocoDocument, detections: Sequence[Detections], kind: Kind) -> Found:
    """The detections that count, in the order of COCO's evaluation."""
    ids = [image["id"] for image in truth["images"]]
    places = {id_: place for place, id_ in enumerate(ids)}
    rank_of_id = np.argsort(np.argsort(np.array(ids, dtype=object)))
    categories = sorted(category["id"] for category in truth["categories"])
    counts = [len(one) for one in detections]
    images = np.repeat(np.array([places[one.image_id] for one in detections], np.intp), counts)
    classes = np.searchsorted(categories, _joined([one.category_ids for one in detections], np.int64))
    scores = _joined([one.scores for one in detections], np.float32)
    given = np.arange(len(scores))
    by_image = np.lexsort((given, -scores, images, classes))
    ranks = ranks_in_groups(classes[by_image], images[by_image])
    counted = by_image[ranks < MAX_DETECTIONS[kind][-1]]
    order = counted[np.lexsort((given[counted], rank_of_id[images[counted]], -scores[counted], classes[counted]))]
    outside = _areas_outside(detections, kind)[order]
    return Found(images[order], classes[order].astype(np.intp), scores[order], outside, order)


def overlapping_pairs(
    truth: CocoDocument,
    detections: Sequence[Detections],
    kind: Kind,
    found: Found,
    objects: TrueObjects,
    *,
    sigmas: Sequence[float] = (),
) -> Pairs:
    """The pairs that overlap.

    Returns:
        For boxes and masks, the pairs of all classes with an IoU of at least :data:`LEAST_OVERLAP`; for keypoints, the
        pairs of the same class with an OKS above 0.
    """
    if kind == "mask":
        parts = list(_mask_pairs(truth, detections, found, objects))
    elif kind == "box":
        parts = list(_box_pairs(truth, detections, found, objects))
    else:
        parts = list(_keypoint_pairs(truth, detections, found, objects, np.array(sigmas, np.float64)))
    return Pairs(
        _joined([part.detections for part in parts], np.intp),
        _joined([part.objects for part in parts], np.intp),
        _joined([part.overlaps for part in parts], np.float64),
    )


def candidates(found: Found, objects: TrueObjects) -> Iterator[tuple[Columns, Columns]]:
    """All pairs in the same image as positions of detections and objects, some detections after the other."""
    of_image = np.argsort(objects.images, kind="stable")
    counts = np.bincount(objects.images, minlength=1 + int(max(found.images, default=0)))
    starts = np.cumsum(counts) - counts
    numbers = counts[found.images]
    ends = np.cumsum(numbers)
    first = 0
    while first < len(numbers):
        before = ends[first] - numbers[first]
        last = max(first + 1, int(np.searchsorted(ends, before + _PAIRS_AT_ONCE, side="right")))
        part = numbers[first:last]
        within = np.arange(part.sum()) - np.repeat(np.cumsum(part) - part, part)
        yield (
            np.repeat(np.arange(first, last), part),
            of_image[np.repeat(starts[found.images[first:last]], part) + within],
        )
        first = last


def ranks_in_groups(*keys: Columns) -> Columns:
    """The position of each element within its group, from 0.

    Args:
        keys: [N] each; neighbors with equal keys are a group.

    Example:
        >>> ranks_in_groups(np.array([0, 0, 0, 1]), np.array([5, 5, 7, 7])).tolist()
        [0, 1, 0, 0]
    """
    places = np.arange(len(keys[0]))
    changed = np.any([key[1:] != key[:-1] for key in keys], axis=0)
    starts = np.where(np.append(True, changed)[: len(places)], places, 0)
    return places - np.maximum.accumulate(starts)


def _box_pairs(
    truth: CocoDocument, detections: Sequence[Detections], found: Found, objects: TrueObjects
) -> Iterator[Pairs]:
    boxes = _joined([one.boxes_xywh for one in detections], np.float64).reshape(-1, 4)[found.given]
    true = np.array([one["bbox"] for one in truth["annotations"]], np.float64).reshape(-1, 4)
    areas, true_areas = boxes[:, 2] * boxes[:, 3], true[:, 2] * true[:, 3]
    for one, other in candidates(found, objects):
        sides = [
            np.minimum(boxes[one, 2 + axis] + boxes[one, axis], true[other, 2 + axis] + true[other, axis])
            - np.maximum(boxes[one, axis], true[other, axis])
            for axis in (0, 1)
        ]
        shared = np.where((sides[0] > 0) & (sides[1] > 0), sides[0] * sides[1], 0.0)
        union = np.where(objects.crowds[other], areas[one], areas[one] + true_areas[other] - shared)
        ious = np.divide(shared, union, out=np.zeros_like(shared), where=shared > 0)
        yield Pairs(one, other, ious).where(ious >= LEAST_OVERLAP)


def _mask_pairs(
    truth: CocoDocument, detections: Sequence[Detections], found: Found, objects: TrueObjects
) -> Iterator[Pairs]:
    """Image by image, so that no more than the masks of one image are compared at once."""
    from pycocotools import mask as coco_mask

    masks = [mask for one in detections for mask in one.masks or ()]
    of_image = np.argsort(found.images, kind="stable")
    images = found.images[of_image]
    true_of_image = np.argsort(objects.images, kind="stable")
    true_images = objects.images[true_of_image]
    for place in np.intersect1d(images, true_images):
        mine = of_image[np.searchsorted(images, place) : np.searchsorted(images, place, side="right")]
        true = true_of_image[np.searchsorted(true_images, place) : np.searchsorted(true_images, place, side="right")]
        image = truth["images"][place]
        outlines = [
            encode_outline(truth["annotations"][index]["segmentation"], image["height"], image["width"])
            for index in true
        ]
        ious = coco_mask.iou([masks[found.given[index]] for index in mine], outlines, objects.crowds[true])
        one, other = np.nonzero(ious >= LEAST_OVERLAP)
        yield Pairs(mine[one], true[other], ious[one, other])


def _keypoint_pairs(
    truth: CocoDocument, detections: Sequence[Detections], found: Found, objects: TrueObjects, sigmas: Floats
) -> Iterator[Pairs]:
    parts = [one.keypoints for one in detections if isinstance(one, KeypointDetections)]
    points = _joined(parts, np.float64).reshape(-1, len(sigmas), 3)[found.given, :, :2]
    annotations = truth["annotations"]
    none = [0.0] * (3 * len(sigmas))
    true = np.array([one.get("keypoints", none) for one in annotations], np.float64).reshape(-1, len(sigmas), 3)
    boxes = np.array([one["bbox"] for one in annotations], np.float64).reshape(-1, 4)
    areas = np.array([one["area"] for one in annotations], np.float64)
    for one, other in candidates(found, objects):
        same = found.classes[one] == objects.classes[other]
        mine, its = one[same], other[same]
        overlaps = keypoint_similarities(points[mine], true[its], boxes[its], areas[its], sigmas)
        yield Pairs(mine, its, overlaps).where(overlaps > 0)


def _areas_outside(detections: Sequence[Detections], kind: Kind) -> Bools:
    """Whether the area of each given detection is outside the range ``all``; masks never are."""
    least, most = AREAS["all"]
    if kind == "mask":
        return np.zeros(sum(len(one) for one in detections), dtype=bool)
    areas = []
    for one in detections:
        if kind == "keypoint":
            assert isinstance(one, KeypointDetections)  # noqa: S101  (as documented)
            sides = np.ptp(one.keypoints[..., :2].astype(np.float64), axis=1) if len(one) else np.zeros((0, 2))
        else:
            sides = one.boxes_xywh[:, 2:]
        areas.append(sides[:, 0] * sides[:, 1])
    joined = _joined(areas, np.float64)
    outside: Bools = (joined < least) | (joined > most)
    return outside


def _joined(parts: Sequence[npt.NDArray[Any]], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    return np.concatenate(parts).astype(dtype, copy=False) if parts else np.zeros(0, dtype)
