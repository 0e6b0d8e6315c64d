"""Suspected label errors of keypoints: swapped left and right, and points in the wrong place."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from sightline.data.formats.coco import CocoAnnotation, CocoDocument
from sightline.data.keypoint_detections import KeypointDetections
from sightline.data.label_schema import KeypointSchema
from sightline.errors import DataError
from sightline.metrics.coco import box_ious
from sightline.metrics.keypoints import require_keypoints
from sightline.metrics.label_errors import (
    CONFIDENT_FROM,
    MATCH_IOU,
    SuggestedObject,
    Suspect,
    SuspectKind,
    detector_suspects,
    ranked,
)

Floats = npt.NDArray[np.float64]

_SURE = 0.3
"""Keypoints with a lower score contradict nothing."""

_APART = 0.1
"""Two points that are swapped are at least this share of the diagonal of the object's box apart."""

_LEAST = 0.05
"""A misplaced keypoint is at least this share of the diagonal of the object's box from where the model sees it."""

_TIMES_USUAL = 4.0
"""... and so many times farther than is usual for the keypoint."""


@dataclass(frozen=True, slots=True)
class _Pair:
    """A true object and the detection of it: points [K, 2] of both, in pixels, and which can be compared."""

    annotation: CocoAnnotation
    box_xyxy: tuple[float, float, float, float]
    true: Floats
    found: Floats
    scores: Floats
    known: npt.NDArray[np.bool_]
    diagonal: float

    @property
    def distances(self) -> Floats:
        """[K], as shares of the diagonal of the object's box; NaN where they cannot be compared."""
        distances = np.linalg.norm(self.true - self.found, axis=1) / self.diagonal
        return np.where(self.known, distances, np.nan)


def keypoint_suspects(
    truth: CocoDocument, detections: Sequence[KeypointDetections], *, confident_from: float = CONFIDENT_FROM
) -> list[Suspect]:
    """Labels that confident predictions contradict, the most suspicious first.

    ``swapped keypoints``: the model sees two keypoints of a flip pair where the truth has the other one.  ``misplaced
    keypoint``: the model is sure of another place, much farther away than is usual for this keypoint.  Objects are
    compared by their boxes (:func:`sightline.metrics.label_errors.detector_suspects`), unless these were given.

    Args:
        truth: One split.
        detections: At most one entry per image, with all scores.
        confident_from: As for :func:`sightline.metrics.label_errors.detector_suspects`.

    Raises:
        DataError: The split has no keypoints, or truth or detections are invalid.
    """
    schema = require_keypoints(truth)
    for found in detections:
        if found.keypoints.shape[1:] != (len(schema.names), 3):
            raise DataError(
                f"detections of image {found.image_id} have {found.keypoints.shape[1]} keypoints, but the dataset has "
                f"{', '.join(schema.names)}; use a model with the same keypoints"
            )
    given = any(found.boxes_given for found in detections)
    boxes = [] if given else detector_suspects(truth, detections, confident_from=confident_from)
    of_image = {found.image_id: found for found in detections}
    missing = [_with_keypoints(one, of_image[one.image_id], schema) for one in boxes]
    pairs = list(_pairs(truth, of_image))
    usual = _usual(pairs, len(schema.names))
    return ranked([*missing, *(suspect for pair in pairs for suspect in _of_pair(pair, schema, usual))])


def _with_keypoints(suspect: Suspect, found: KeypointDetections, schema: KeypointSchema) -> Suspect:
    """A missing object with the keypoints that the model is sure of."""
    if suspect.kind != "missing" or suspect.object is None:
        return suspect
    rank = int(np.abs(found.boxes_xyxy - np.array(suspect.object.box_xyxy)).sum(axis=1).argmin())
    points = tuple(
        (name, float(x), float(y))
        for name, (x, y, score) in zip(schema.names, found.keypoints[rank].tolist(), strict=True)
        if score >= _SURE
    )
    return replace(suspect, object=replace(suspect.object, keypoints=points))


def _pairs(truth: CocoDocument, of_image: dict[int, KeypointDetections]) -> Iterator[_Pair]:
    """Each true object with labeled keypoints, and the detection of its class with the most similar box."""
    objects: dict[int, list[CocoAnnotation]] = defaultdict(list)
    for annotation in truth["annotations"]:
        if annotation.get("num_keypoints", 0):
            objects[annotation["image_id"]].append(annotation)
    for image_id, labelled in objects.items():
        found = of_image.get(image_id)
        if found is None or not len(found):
            continue
        ious = box_ious(found.boxes_xywh, np.array([one["bbox"] for one in labelled], np.float64))
        for column, annotation in enumerate(labelled):
            fitting = np.where(found.category_ids == annotation["category_id"], ious[:, column], 0.0)
            rank = int(fitting.argmax())
            if fitting[rank] >= MATCH_IOU:
                yield _pair(annotation, found, rank)


def _pair(annotation: CocoAnnotation, found: KeypointDetections, rank: int) -> _Pair:
    true = np.array(annotation["keypoints"], np.float64).reshape(-1, 3)
    points = found.keypoints[rank].astype(np.float64)
    left, top, right, bottom = (float(value) for value in found.boxes_xyxy[rank])
    return _Pair(
        annotation,
        (left, top, right, bottom),
        true[:, :2],
        points[:, :2],
        points[:, 2],
        (true[:, 2] > 0) & (points[:, 2] >= _SURE),
        max(math.hypot(*annotation["bbox"][2:]), 1.0),
    )


def _usual(pairs: Sequence[_Pair], count: int) -> Floats:
    """[K], the median distance of each keypoint; NaN without one."""
    table = np.array([pair.distances for pair in pairs]).reshape(-1, count)
    columns = [column[~np.isnan(column)] for column in table.T]
    return np.array([float(np.median(column)) if len(column) else np.nan for column in columns])


def _of_pair(pair: _Pair, schema: KeypointSchema, usual: Floats) -> Iterator[Suspect]:
    swapped: dict[int, float] = {}
    for one, other in schema.flip_pairs:
        if pair.known[one] and pair.known[other]:
            share = _swap(pair, one, other)
            if share > 0:
                swapped |= dict.fromkeys((one, other), share)
    if swapped:
        points = sorted(swapped)
        score = float(np.mean([swapped[index] * pair.scores[index] for index in points]))
        yield _suspect(pair, schema, "swapped keypoints", score, points)
    for index in np.flatnonzero(pair.known).tolist():
        limit = max(_LEAST, _TIMES_USUAL * usual[index])
        distance = pair.distances[index]
        if index not in swapped and distance > limit:
            score = float(pair.scores[index] * (1.0 - limit / distance))
            yield _suspect(pair, schema, "misplaced keypoint", score, [index])


def _swap(pair: _Pair, one: int, other: int) -> float:
    """How much nearer two points are to where the model sees the other one, 0 to 1; 0: they are not swapped."""
    true, found = pair.true[[one, other]], pair.found[[one, other]]
    straight = float(np.linalg.norm(true - found, axis=1).sum())
    crossed = float(np.linalg.norm(true - found[::-1], axis=1).sum())
    if straight <= 2 * _APART * pair.diagonal or crossed >= straight / 2:
        return 0.0
    return 1.0 - crossed / straight


def _suspect(pair: _Pair, schema: KeypointSchema, kind: SuspectKind, score: float, points: Sequence[int]) -> Suspect:
    id_ = pair.annotation["category_id"]
    places = tuple((schema.names[index], float(pair.found[index, 0]), float(pair.found[index, 1])) for index in points)
    suggested = SuggestedObject(pair.box_xyxy, None, places)
    score = min(max(score, 0.0), 1.0)
    return Suspect(pair.annotation["image_id"], kind, score, id_, id_, pair.annotation["id"], suggested)
