"""The operating thresholds of a detector: the score from which on detections of a class should count."""

from __future__ import annotations

import numpy as np

from sightline.metrics.matches import Matches
from sightline.metrics.reliability import OperatingPoint, best_operating_point


def operating_points(matches: Matches) -> dict[str, OperatingPoint]:
    """The score threshold of each class with the highest F1, with detections that are right at IoU or OKS 0.5.

    Args:
        matches: Detections of the val split, matched with its true objects.

    Returns:
        Class -> its threshold; classes without truth, or of which no detection is right, are left out.
    """
    counted, objects = ~matches.ignored[0], matches.objects
    points = {}
    for place, name in enumerate(matches.classes):
        truths = int(np.count_nonzero((objects.classes == place) & ~objects.ignored))
        mine = counted & (matches.found.classes == place)
        scores = matches.found.scores[mine].astype(np.float64)
        point = best_operating_point(scores, matches.right[0][mine], truths) if truths else None
        if point is not None:
            points[name] = point
    return points
