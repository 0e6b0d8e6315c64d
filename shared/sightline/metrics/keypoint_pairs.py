"""Pairs of true objects and detections, for PCK and errors of keypoints."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sightline.data.formats.coco import CocoAnnotation, CocoDocument
from sightline.data.keypoint_detections import KeypointDetections

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
        """bool [K]: which keypoints are labeled and found."""
        if self.distances is None:
            return np.zeros_like(self.labelled)
        return self.labelled & (self.distances <= PCK_SHARE * self.diagonal)


def best_pairs(
    truth: CocoDocument,
    detections: Sequence[KeypointDetections],
    similarities: Mapping[tuple[int, int], npt.NDArray[np.float64]],
    most: int,
) -> list[Pair]:
    """Pair true objects with detections of their class, the highest similarity first.

    Args:
        truth: One split.
        detections: At most one entry per image.
        similarities: Image id and category id -> float64 [D, T]: OKS of the ``most`` best detections, by descending
            score, and all true objects.
        most: Maximum number of detections per class and image.

    Returns:
        One entry per true object with labeled keypoints.
    """
    of_image = {found.image_id: found for found in detections}
    objects: dict[tuple[int, int], list[CocoAnnotation]] = defaultdict(list)
    for annotation in truth["annotations"]:
        objects[annotation["image_id"], annotation["category_id"]].append(annotation)
    pairs = []
    for (image_id, category_id), annotations in objects.items():
        found = of_image.get(image_id)
        table = similarities.get((image_id, category_id), np.zeros((0, 0)))
        labelled = [annotation.get("num_keypoints", 0) > 0 for annotation in annotations]
        chosen = _matched(table * np.array(labelled)) if table.size else {}
        points = np.zeros((0, 0, 3))
        if found is not None:
            indices = np.flatnonzero(found.category_ids == category_id)
            order = indices[np.argsort(-found.scores[indices], kind="mergesort")][:most]
            points = found.keypoints[order].astype(np.float64)
        for index, annotation in enumerate(annotations):
            if labelled[index]:
                other = chosen.get(index)
                similarity = 0.0 if other is None else float(table[other, index])
                pairs.append(_pair(annotation, None if other is None else points[other], similarity))
    return pairs


def _matched(table: npt.NDArray[np.float64]) -> dict[int, int]:
    """True object -> detection, one to one, the highest similarity first."""
    chosen: dict[int, int] = {}
    while table.max() > 0:
        detection, object_ = (int(index) for index in np.unravel_index(int(table.argmax()), table.shape))
        chosen[object_] = detection
        table[detection], table[:, object_] = 0.0, 0.0
    return chosen


def _pair(annotation: CocoAnnotation, found: npt.NDArray[np.float64] | None, similarity: float) -> Pair:
    points = np.array(annotation["keypoints"], dtype=np.float64).reshape(-1, 3)
    distances = None if found is None else np.linalg.norm(found[:, :2] - points[:, :2], axis=1)
    return Pair(
        annotation["image_id"],
        points[:, 2] > 0,
        distances,
        similarity,
        float(np.hypot(*annotation["bbox"][2:])),
        max(float(annotation["area"]), 1.0) ** 0.5,
    )
