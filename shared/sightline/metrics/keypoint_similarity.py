"""Object keypoint similarity (OKS) of detections and true objects, equal to that of pycocotools to the last bit."""

from __future__ import annotations

import numpy as np

from sightline.metrics.statistic import Floats


def keypoint_similarities(points: Floats, true: Floats, boxes_xywh: Floats, areas: Floats, sigmas: Floats) -> Floats:
    """OKS of pairs of a detection and a true object.

    Of a true object without labeled keypoints, the distance of all keypoints from its box, extended by its width and
    height on each side, is used (https://cocodataset.org/#keypoints-eval).

    Args:
        points: [P, K, 2], detected keypoints, pixels.
        true: [P, K, 3], true keypoints: x and y in pixels, and visibility; 0: not labeled.
        boxes_xywh: [P, 4], boxes of the true objects, pixels.
        areas: [P], areas of the true objects, square pixels.
        sigmas: [K].

    Returns:
        [P], 0 to 1.

    Example:
        One keypoint, 2 pixels off, of an object of 100 square pixels, with sigma 0.1: exp(-4 / 0.04 / 100 / 2).

        >>> off = keypoint_similarities(
        ...     np.array([[[5.0, 7.0]]]), np.array([[[5.0, 5.0, 2.0]]]), np.array([[0.0, 0.0, 10.0, 10.0]]),
        ...     np.array([100.0]), np.array([0.1]))
        >>> float(off[0].round(4))
        0.6065
    """
    labelled = true[..., 2] > 0
    counts = labelled.sum(axis=1)
    offsets = points - true[..., :2]
    bare = counts == 0
    if bare.any():
        corner, sides = boxes_xywh[bare, None, :2], boxes_xywh[bare, None, 2:]
        low, high = corner - sides, corner + sides * 2
        offsets[bare] = np.maximum(0, low - points[bare]) + np.maximum(0, points[bare] - high)
        labelled[bare], counts[bare] = True, len(sigmas)
    squared = offsets[..., 0] ** 2 + offsets[..., 1] ** 2
    terms = np.exp(-(squared / (sigmas * 2) ** 2 / (areas + np.spacing(1))[:, None] / 2))
    result = np.zeros(len(points))
    for count in np.unique(counts):
        # The sum of floats depends on their number, so that only labeled keypoints are summed, as in pycocotools.
        rows = np.flatnonzero(counts == count)
        result[rows] = terms[rows][labelled[rows]].reshape(len(rows), count).sum(axis=1) / count
    return result
