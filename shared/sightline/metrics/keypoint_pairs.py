"""Pairs of true objects and detections, for PCK and errors of keypoints."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sightline.data.formats.coco import CocoAnnotation, CocoDocument
from sightline.data.keypoint_detections import KeypointDetections
from sightline.metrics.matches import Matches
from sightline.metrics.statistic import Ratio

PCK_SHARE = 0.2
"""A keypoint is found if its distance is at most this share of the diagonal of the object's true box."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A true object with labeled keypoints, and the detection paired with it.

    Attributes:
        image_id: The image.
        labelled: bool [K]: which keypoints are labeled, visible or hidden.
        distances: float64 [K]: distance of each keypoint from the truth in pixels, meaningless where it is not labeled;
            None without a detection.
        similarity: OKS of the pair; 0 without a detection.
        diagonal: Diagonal of the object's box, pixels.
        size: Square root of the object's area, pixels.
    """

    image_id: int
    labelled: npt.NDArray[np.bool_]
    distances: npt.NDArray[np.float64] | None
    similarity: float
    diagonal: float
    size: float

    @property
    def close(self) -> npt.NDArray[np.bool_]:
        """Bool [K]: which keypoints are labeled and found."""
        if self.distances is None:
            return np.zeros_like(self.labelled)
        return self.labelled & (self.distances <= PCK_SHARE * self.diagonal)


def best_pairs(truth: CocoDocument, detections: Sequence[KeypointDetections], matches: Matches) -> list[Pair]:
    """Pair true objects with detections of their class, the highest similarity first.

    Args:
        truth: One split.
        detections: At most one entry per image.
        matches: Their matches, of which only the detections that count and the similarities are used.

    Returns:
        One entry per true object with labeled keypoints.
    """
    chosen = _chosen(matches, [annotation.get("num_keypoints", 0) > 0 for annotation in truth["annotations"]])
    points = [found.keypoints.astype(np.float64) for found in detections]
    starts = np.cumsum([0, *map(len, detections)])
    pairs = []
    for index, annotation in enumerate(truth["annotations"]):
        if not annotation.get("num_keypoints", 0):
            continue
        if index not in chosen:
            pairs.append(_pair(annotation, None, 0.0))
            continue
        detection, similarity = chosen[index]
        given = int(matches.found.given[detection])
        entry = int(np.searchsorted(starts, given, side="right")) - 1
        pairs.append(_pair(annotation, points[entry][given - starts[entry]], similarity))
    return pairs


def close_keypoints(truth: CocoDocument, pairs: Sequence[Pair]) -> Ratio:
    """PCK by how often each image counts.

    Args:
        truth: One split.
        pairs: Its pairs, from :func:`best_pairs`.
    """
    places = {image["id"]: place for place, image in enumerate(truth["images"])}
    close, labelled = np.zeros(len(places)), np.zeros(len(places))
    for pair in pairs:
        close[places[pair.image_id]] += pair.close.sum()
        labelled[places[pair.image_id]] += pair.labelled.sum()
    return Ratio(close, labelled)


def _chosen(matches: Matches, labelled: Sequence[bool]) -> dict[int, tuple[int, float]]:
    """True object with labeled keypoints -> detection and similarity, one to one, the highest similarity first."""
    pairs = matches.pairs
    chosen: dict[int, tuple[int, float]] = {}
    taken: set[int] = set()
    for place in np.lexsort((pairs.objects, pairs.detections, -pairs.overlaps)).tolist():
        detection, object_ = int(pairs.detections[place]), int(pairs.objects[place])
        if detection not in taken and object_ not in chosen and labelled[object_]:
            chosen[object_] = detection, float(pairs.overlaps[place])
            taken.add(detection)
    return chosen


def _pair(annotation: CocoAnnotation, found: npt.NDArray[np.float64] | None, similarity: float) -> Pair:
    points = np.array(annotation["keypoints"], dtype=np.float64).reshape(-1, 3)
    distances = None if found is None else np.linalg.norm(found[:, :2] - points[:, :2], axis=1)
    return Pair(
        annotation["image_id"],
        points[:, 2] > 0,
        distances,
        similarity,
        math.hypot(*annotation["bbox"][2:]),
        max(float(annotation["area"]), 1.0) ** 0.5,
    )
