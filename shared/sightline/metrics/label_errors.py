"""Suspected label errors of detectors: confident predictions that contradict the truth.

The idea is that of confident learning (Northcutt et al., 2021, arXiv 1911.00068): whether a prediction is confident is
judged by the scores of right predictions of the class, so that a class that the model is generally unsure of is not
judged by the same number as an easy one.  Confident learning takes their mean; here it is their lower quartile, because
one image with two wrong labels of three must not hide both, and because suggestions are ranked anyway.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from sightline.data.detections import Detections
from sightline.data.formats.coco import CocoAnnotation, CocoDocument, CocoImage, RunLengthEncoding
from sightline.data.rasterizer import encode_outline
from sightline.metrics.coco import box_ious, check_detections, check_truth

Floats = npt.NDArray[np.float64]

SuspectKind = Literal[
    "missing", "wrong class", "loose outline", "duplicate", "spurious", "swapped keypoints", "misplaced keypoint"
]

MATCH_IOU = 0.5
"""From this IoU on, a detection and a true object are the same object."""

FREE_IOU = 0.3
"""A detection with less IoU to every true object shows something that is not labeled."""

TOUCH_IOU = 0.1
"""A true object with less IoU to every detection was not seen by the model."""

DUPLICATE_IOU = 0.75
"""Two true objects of one class with this IoU are one object that was labeled twice."""

LOOSE_IOU = 0.8
"""An outline with at least this IoU is not loose, however exact the others of its class are."""

_LOOSER = 0.15
_TIMES_SPREAD = 3.0
"""A loose outline has an IoU that is so much lower than is usual for its class, and so many times the spread of the
IoUs of its class (their median absolute deviation, scaled to a standard deviation)."""

CONFIDENT_FROM = 0.5
"""The score from which on detections of a class are confident of which none is known to be right."""

_LOWEST_SCORE = 0.05
_QUARTILE = 25
_CONFIDENCES = (0.3, 0.95)
"""Limits of the score from which on detections of a class are confident."""


@dataclass(frozen=True, slots=True)
class SuggestedObject:
    """What the model sees where the truth may be wrong.

    Attributes:
        box_xyxy: Pixels.
        mask: Run lengths of the whole image, if the task has masks.
        keypoints: Name, x and y in pixels, if the task has keypoints.
    """

    box_xyxy: tuple[float, float, float, float]
    mask: RunLengthEncoding | None = None
    keypoints: tuple[tuple[str, float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Suspect:
    """A label that may be wrong, or missing.

    Attributes:
        image_id: The image.
        kind: How it is wrong.
        score: 0 to 1, for ranking: how sure the model is, and how much that contradicts the truth.
        category_id: The class in the truth; None: the truth has nothing there.
        suggested_id: The class that the model suggests; None: the label should be removed.
        annotation_id: The object in doubt; None if none is: something is missing, or the label is that of the image.
        object: The suggested object, if the suggestion is a new or another outline, or other keypoints.
    """

    image_id: int
    kind: SuspectKind
    score: float
    category_id: int | None = None
    suggested_id: int | None = None
    annotation_id: int | None = None
    object: SuggestedObject | None = None


def ranked(suspects: Iterable[Suspect]) -> list[Suspect]:
    """Suspects by descending score; equal ones in a fixed order."""
    return sorted(suspects, key=lambda one: (-one.score, one.image_id, one.annotation_id or 0, one.kind))


def detector_suspects(
    truth: CocoDocument,
    detections: Sequence[Detections],
    *,
    masks: bool = False,
    confident_from: float = CONFIDENT_FROM,
) -> list[Suspect]:
    """Objects of the truth that confident detections contradict, the most suspicious first.

    ``missing``: a detection where nothing is labeled.  ``wrong class``: a detection of another class on an object.
    ``loose outline``: a detection of the same class whose outline overlaps less than is usual for the class.
    ``duplicate``: an object that was labeled twice.  ``spurious``: an object that no detection overlaps, of a class
    that the model usually finds.

    Args:
        truth: One split; images without annotations count as not labeled yet, so that every detection is missing.
        detections: At most one entry per image, with all scores.
        masks: Whether outlines are compared by their pixels, or by their boxes.
        confident_from: The score from which on detections of a class are confident of which none is right.

    Raises:
        DataError: Truth or detections are invalid; see :func:`sightline.metrics.coco.check_detections`.
    """
    check_truth(truth)
    check_detections(truth, detections, masks=masks)
    annotations: dict[int, list[CocoAnnotation]] = defaultdict(list)
    for annotation in truth["annotations"]:
        annotations[annotation["image_id"]].append(annotation)
    found = {entry.image_id: entry for entry in detections}
    scenes = [
        _Scene.of(image, annotations[image["id"]], found[image["id"]], masks=masks)
        for image in truth["images"]
        if image["id"] in found
    ]
    usual = _Usual.of(scenes, confident_from)
    return ranked(suspect for scene in scenes for suspect in _suspects(scene, usual))


@dataclass(frozen=True, slots=True)
class _Scene:
    """The detections and true objects of one image, and which of them are the same.

    Attributes:
        image: The image.
        truths: T true objects.
        found: N detections, without those of a very low score.
        ious: [N, T] of their boxes.
        true_ids: [T], their classes.
        pairs: Detection -> true object of the same class, one to one.
        overlaps: Detection of ``pairs`` -> IoU of the pair, of their masks if the task has any.
    """

    image: CocoImage
    truths: list[CocoAnnotation]
    found: Detections
    ious: Floats
    true_ids: npt.NDArray[np.int64]
    pairs: dict[int, int]
    overlaps: dict[int, float]

    @classmethod
    def of(cls, image: CocoImage, truths: list[CocoAnnotation], entry: Detections, *, masks: bool) -> _Scene:
        found = entry.above(_LOWEST_SCORE)
        boxes = np.array([one["bbox"] for one in truths], np.float64).reshape(-1, 4)
        ious = box_ious(found.boxes_xywh, boxes)
        true_ids = np.array([one["category_id"] for one in truths], np.int64)
        pairs = _pairs(found.scores, np.where(found.category_ids[:, None] == true_ids, ious, 0.0))
        overlaps = {rank: float(ious[rank, index]) for rank, index in pairs.items()}
        if masks and found.masks is not None:
            overlaps = {rank: _mask_iou(found.masks[rank], truths[index], image) for rank, index in pairs.items()}
        return cls(image, truths, found, ious, true_ids, pairs, overlaps)

    def object(self, rank: int) -> SuggestedObject:
        """A detection as a suggestion."""
        left, top, right, bottom = (float(value) for value in self.found.boxes_xyxy[rank])
        return SuggestedObject((left, top, right, bottom), None if self.found.masks is None else self.found.masks[rank])


@dataclass(frozen=True, slots=True)
class _Usual:
    """What is usual for each class.

    Attributes:
        confidences: Score from which on a detection is confident.
        ious: Median IoU of confident detections with their objects.
        tight: IoU from which on an outline is as exact as is usual.
        recalls: Share of the objects that are detected, 0 to 1.
        confident_from: Score from which on a detection of a class without a confidence is confident.
    """

    confidences: dict[int, float]
    ious: dict[int, float]
    tight: dict[int, float]
    recalls: dict[int, float]
    confident_from: float

    @classmethod
    def of(cls, scenes: Sequence[_Scene], confident_from: float) -> _Usual:
        scores: dict[int, list[float]] = defaultdict(list)
        overlaps: dict[int, list[tuple[float, float]]] = defaultdict(list)
        truths: dict[int, int] = defaultdict(int)
        for scene in scenes:
            for id_ in scene.true_ids.tolist():
                truths[id_] += 1
            for rank in scene.pairs:
                id_, score = int(scene.found.category_ids[rank]), float(scene.found.scores[rank])
                scores[id_].append(score)
                overlaps[id_].append((score, scene.overlaps[rank]))
        low, high = _CONFIDENCES
        confidences = {
            id_: min(max(float(np.percentile(values, _QUARTILE)), low), high) for id_, values in scores.items()
        }
        sure = {
            id_: np.array([iou for score, iou in pairs if score >= confidences[id_]] or [MATCH_IOU])
            for id_, pairs in overlaps.items()
        }
        ious = {id_: float(np.median(values)) for id_, values in sure.items()}
        tight = {id_: min(LOOSE_IOU, ious[id_] - _margin(values)) for id_, values in sure.items()}
        recalls = {id_: len(scores[id_]) / count for id_, count in truths.items()}
        return cls(confidences, ious, tight, recalls, confident_from)

    def confident(self, scene: _Scene, rank: int) -> bool:
        """Whether a detection is confident for its class."""
        needed = self.confidences.get(int(scene.found.category_ids[rank]), self.confident_from)
        return float(scene.found.scores[rank]) >= min(needed, 0.99)


def _margin(ious: Floats) -> float:
    """How much below their median the IoUs of a class are usual."""
    spread = 1.4826 * float(np.median(np.abs(ious - np.median(ious))))
    return max(_LOOSER, _TIMES_SPREAD * spread)


def _suspects(scene: _Scene, usual: _Usual) -> list[Suspect]:
    wrong, used = _wrong_classes(scene, usual)
    loose, loosely = _loose(scene, usual)
    doubles = _duplicates(scene)
    doubted = {one.annotation_id for one in (*wrong, *loose, *doubles)}
    missing = _missing(scene, usual, used | loosely)
    spurious = [one for one in _spurious(scene, usual) if one.annotation_id not in doubted]
    return [*wrong, *loose, *doubles, *missing, *spurious]


def _wrong_classes(scene: _Scene, usual: _Usual) -> tuple[list[Suspect], set[int]]:
    """Objects with a confident detection of another class, and those detections."""
    suspects, used = [], set()
    scores = scene.found.scores.astype(np.float64)
    for index, annotation in enumerate(scene.truths):
        on_it = scene.ious[:, index] >= MATCH_IOU
        same = scene.found.category_ids == annotation["category_id"]
        others = [rank for rank in np.flatnonzero(on_it & ~same).tolist() if rank not in scene.pairs]
        if not others:
            continue
        best = max(others, key=lambda rank: (scores[rank], -rank))
        own = float(scores[on_it & same].max(initial=0.0))
        if scores[best] > own and usual.confident(scene, best):
            used.update(others)
            score = float(scores[best]) * (1.0 - own)
            suspects.append(_suspect(scene, "wrong class", score, index, best))
    return suspects, used


def _loose(scene: _Scene, usual: _Usual) -> tuple[list[Suspect], set[int]]:
    """Objects whose outline overlaps a confident detection of their class too little, and those detections."""
    suspects, used = [], set()
    taken = set(scene.pairs.values())
    for rank in range(len(scene.found)):
        if not usual.confident(scene, rank):
            continue
        id_, score = int(scene.found.category_ids[rank]), float(scene.found.scores[rank])
        expected = usual.ious.get(id_, 1.0)
        index = scene.pairs.get(rank)
        if index is not None:
            iou = scene.overlaps[rank]
        else:
            same = np.where(scene.true_ids == id_, scene.ious[rank], 0.0)
            index = int(same.argmax()) if len(same) else None
            if index is None or index in taken or not TOUCH_IOU <= same[index] < MATCH_IOU:
                continue
            iou = float(same[index])
        if iou < usual.tight.get(id_, LOOSE_IOU):
            used.add(rank)
            share = min(1.0, (expected - iou) / max(expected - MATCH_IOU, _LOOSER))
            suspects.append(_suspect(scene, "loose outline", score * share, index, rank))
    return suspects, used


def _duplicates(scene: _Scene) -> list[Suspect]:
    """Objects that overlap another one of their class so much that one detection covers both."""
    boxes = np.array([one["bbox"] for one in scene.truths], np.float64).reshape(-1, 4)
    between = box_ious(boxes, boxes)
    taken = set(scene.pairs.values())
    suspects: list[Suspect] = []
    gone: set[int] = set()
    for first in range(len(boxes)):
        for second in range(first + 1, len(boxes)):
            alike = between[first, second] >= DUPLICATE_IOU and scene.true_ids[first] == scene.true_ids[second]
            if not alike or {first, second} <= taken or {first, second} & gone:
                continue
            index = first if second in taken else second
            gone.add(index)
            suspects.append(_suspect(scene, "duplicate", float(between[first, second]), index, None))
    return suspects


def _missing(scene: _Scene, usual: _Usual, used: set[int]) -> list[Suspect]:
    """Confident detections where nothing is labeled; of several on one place, the best."""
    suspects: list[Suspect] = []
    boxes, chosen = scene.found.boxes_xywh, np.zeros((0, 4))
    for rank in np.argsort(-scene.found.scores, kind="stable").tolist():
        if rank in scene.pairs or rank in used or not usual.confident(scene, rank):
            continue
        box = boxes[rank : rank + 1]
        if scene.ious[rank].max(initial=0.0) >= FREE_IOU or box_ious(box, chosen).max(initial=0.0) >= MATCH_IOU:
            continue
        chosen = np.concatenate([chosen, box])
        suspects.append(_suspect(scene, "missing", float(scene.found.scores[rank]), None, rank))
    return suspects


def _spurious(scene: _Scene, usual: _Usual) -> list[Suspect]:
    """Objects that no detection overlaps; the more suspicious, the more objects of their class are detected."""
    seen = scene.ious.max(axis=0, initial=0.0) >= TOUCH_IOU
    return [
        _suspect(scene, "spurious", usual.recalls[int(scene.true_ids[index])], index, None)
        for index in np.flatnonzero(~seen).tolist()
        if usual.recalls[int(scene.true_ids[index])] > 0
    ]


def _suspect(scene: _Scene, kind: SuspectKind, score: float, index: int | None, rank: int | None) -> Suspect:
    annotation = None if index is None else scene.truths[index]
    return Suspect(
        scene.image["id"],
        kind,
        min(max(score, 0.0), 1.0),
        None if annotation is None else annotation["category_id"],
        None if rank is None else int(scene.found.category_ids[rank]),
        None if annotation is None else annotation["id"],
        None if rank is None else scene.object(rank),
    )


def _pairs(scores: npt.NDArray[np.float32], ious: Floats) -> dict[int, int]:
    """Row -> column of the IoUs of at least :data:`MATCH_IOU`, one to one, by descending score."""
    pairs: dict[int, int] = {}
    free = ious.copy()
    for rank in np.argsort(-scores, kind="stable").tolist():
        index = int(free[rank].argmax()) if free.shape[1] else -1
        if index >= 0 and free[rank, index] >= MATCH_IOU:
            pairs[rank] = index
            free[:, index] = 0.0
    return pairs


def _mask_iou(mask: RunLengthEncoding, annotation: CocoAnnotation, image: CocoImage) -> float:
    from pycocotools import mask as coco_mask

    true = encode_outline(annotation["segmentation"], image["height"], image["width"])
    return float(coco_mask.iou([mask], [true], [0])[0, 0])
