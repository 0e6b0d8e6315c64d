"""Compares the predictions of an exported or loaded model with those of the PyTorch network."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sightline.data.detections import Detections
from sightline.data.formats.coco import RunLengthEncoding
from sightline.data.keypoint_detections import KeypointDetections
from sightline.metrics.coco import box_ious

SCORE_TOLERANCE = 1e-3
BOX_TOLERANCE = 0.1
"""Largest difference of a box corner, in pixels of the network's input."""

MASK_TOLERANCE = 0.02
"""Largest fraction of the pixels of a mask that may differ, besides two pixels: those with a probability near 0.5."""

KEYPOINT_TOLERANCE = 0.5
"""Largest distance of a keypoint, in pixels of the network's input."""

KEYPOINT_SHARE = 0.02
"""Largest share of the keypoints beyond that distance: those whose map has two equal maxima."""

_SAME_OBJECT_IOU = 0.9


@dataclass(frozen=True, slots=True)
class Parity:
    """The agreement of an exported or loaded model with its network.

    Attributes:
        images: Number of images.
        detections: Number of detections of the network.
        unmatched: Detections of one of the two without a counterpart of the same class in the other.
        score: Largest difference of scores.
        box: Largest difference of box corners, in pixels of the network's input.
        mask: Largest fraction of differing pixels of a mask, besides two pixels; None without masks.
        keypoints: Number of compared keypoints.
        moved: Number of them beyond :data:`KEYPOINT_TOLERANCE`.
    """

    images: int = 0
    detections: int = 0
    unmatched: int = 0
    score: float = 0.0
    box: float = 0.0
    mask: float | None = None
    keypoints: int = 0
    moved: int = 0

    @property
    def holds(self) -> bool:
        """Whether everything is within the tolerances."""
        return (
            not self.unmatched
            and self.score <= SCORE_TOLERANCE
            and self.box <= BOX_TOLERANCE
            and (self.mask or 0.0) <= MASK_TOLERANCE
            and self.moved <= KEYPOINT_SHARE * self.keypoints
        )

    @property
    def advice(self) -> str:
        """What to do if nothing was detected."""
        return "" if self.detections else "no detections were compared; give images with objects with --image"

    def line(self) -> str:
        """The agreement in one line."""
        keypoints = (
            f", keypoints {self.moved} of {self.keypoints} beyond {KEYPOINT_TOLERANCE:g} pixels ({KEYPOINT_SHARE:.0%})"
        )
        masks = "" if self.mask is None else f", mask {self.mask:.2%} ({MASK_TOLERANCE:.0%})"
        return (
            f"{self.images} image{'s'[: self.images != 1]}, {self.detections} detections, {self.unmatched} unmatched; "
            f"largest differences: score {self.score:.1g} (tolerance {SCORE_TOLERANCE:g}), box {self.box:.1g} pixels "
            f"({BOX_TOLERANCE:g}){masks}{keypoints * bool(self.keypoints)}"
        )


def compare(pairs: Iterable[tuple[Detections, Detections, float]]) -> Parity:
    """Compare detections of both on the same images.

    A detection without a counterpart does not count if its score is within the tolerance of the lowest score of its
    image, because such detections are at the threshold or at the maximum number of detections.

    Args:
        pairs: Detections of the network, those of the exported model, and input pixels per pixel of the image.
    """
    images = detections = unmatched = keypoints = moved = 0
    score = box = 0.0
    mask: float | None = None
    for expected, found, scale in pairs:
        images, detections = images + 1, detections + len(expected)
        matches = _matches(expected, found)
        for one, other in matches:
            score = max(score, abs(float(expected.scores[one] - found.scores[other])))
            box = max(box, scale * float(np.abs(expected.boxes_xyxy[one] - found.boxes_xyxy[other]).max()))
            if expected.masks is not None and found.masks is not None:
                mask = max(mask or 0.0, _mask_difference(expected.masks[one], found.masks[other]))
            distances = scale * _keypoint_distances(expected, one, found, other)
            keypoints, moved = keypoints + len(distances), moved + int((distances > KEYPOINT_TOLERANCE).sum())
        unmatched += _lost(expected, {one for one, _ in matches}) + _lost(found, {other for _, other in matches})
    return Parity(images, detections, unmatched, score, box, mask, keypoints, moved)


def _matches(expected: Detections, found: Detections) -> list[tuple[int, int]]:
    """Pairs of one object in both: same class, and the highest IoU of those that are left."""
    if not len(expected) or not len(found):
        return []
    ious = box_ious(_xywh(expected), _xywh(found))
    ious = np.where(expected.category_ids[:, None] == found.category_ids[None], ious, 0.0)
    near = np.abs(expected.scores[:, None] - found.scores[None])
    pairs = []
    while (best := ious.max()) >= _SAME_OBJECT_IOU:
        ties = np.where(ious >= best - 1e-6, near, np.inf)
        one, other = (int(index) for index in np.unravel_index(int(ties.argmin()), ties.shape))
        pairs.append((one, other))
        ious[one], ious[:, other] = 0.0, 0.0
    return pairs


def _xywh(detections: Detections) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    corners = detections.boxes_xyxy.astype(np.float64)
    return np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)


def _lost(detections: Detections, matched: set[int]) -> int:
    if not len(detections):
        return 0
    lowest = float(detections.scores.min()) + SCORE_TOLERANCE
    return sum(index not in matched and float(score) > lowest for index, score in enumerate(detections.scores))


def _mask_difference(one: RunLengthEncoding, other: RunLengthEncoding) -> float:
    from pycocotools import mask as coco_mask

    both = [one, other]
    union = float(coco_mask.area(coco_mask.merge(both)))
    differing = union - float(coco_mask.area(coco_mask.merge(both, intersect=True)))
    return max(0.0, differing - 2) / max(union, 1.0)


def _keypoint_distances(expected: Detections, one: int, found: Detections, other: int) -> npt.NDArray[np.float64]:
    """The distances of the keypoints of two detections, pixels; empty without keypoints."""
    if not isinstance(expected, KeypointDetections) or not isinstance(found, KeypointDetections):
        return np.zeros(0)
    apart = expected.keypoints[one, :, :2].astype(np.float64) - found.keypoints[other, :, :2]
    distances: npt.NDArray[np.float64] = np.linalg.norm(apart, axis=1)
    return distances
