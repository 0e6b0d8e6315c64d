"""The page sections about the scores of a detector."""

from __future__ import annotations

import numpy as np

from sightline.metrics.matches import Matches
from sightline.metrics.reliability import reliability, right_and_wrong
from sightline.plural import counted
from sightline.report.score_sections import calibration_section, histograms_of_scores, thresholds_section
from sightline.report.sections import Section
from sightline.tasks.detection.thresholds import operating_points

LOWEST = 0.05
"""Detections with a lower score are not drawn: there are many, and nobody uses them."""

_OVERLAPS = {"box": "a box IoU", "mask": "a mask IoU", "keypoint": "an OKS"}


def score_sections(matches: Matches, *, chosen_here: bool) -> list[Section]:
    """Histograms of right and wrong detections by score, calibration, and the best threshold of each class.

    Args:
        matches: The detections of a split, matched with its true objects.
        chosen_here: Whether thresholds may be chosen on this split; they are not on the test split.
    """
    kept = ~matches.ignored[0]
    scores, right = matches.found.scores[kept].astype(np.float64), matches.right[0][kept]
    counts = scores >= LOWEST
    found = {"All classes": (scores[counts], right[counts])} if counts.any() else {}
    left_out = int((~counts).sum())
    note = f"Without {counted(left_out, 'detection')} with scores below {LOWEST:g}." if left_out else ""
    rule = f"{_OVERLAPS[matches.kind]} of at least 0.5 with a true object of its class that no better one has taken"
    sections: list[Section] = [
        histograms_of_scores(
            {title: right_and_wrong(*one) for title, one in found.items()},
            noun="detections",
            score="score",
            lead=f"A detection is right if it has {rule}.",
            note=note,
        ),
        calibration_section(
            {title: reliability(*one) for title, one in found.items()}, noun="detections", score="score"
        ),
    ]
    if chosen_here:
        points = operating_points(matches)
        sections.append(
            thresholds_section(
                {
                    name: {
                        "threshold": point.threshold,
                        "F1": point.f1,
                        "precision": point.precision,
                        "recall": point.recall,
                    }
                    for name, point in points.items()
                },
                "The score from which on detections of a class should count so that F1 is highest, chosen on this "
                "split. A model file contains those of the val split, and sightline model predict uses "
                "them unless --score is given.",
            )
        )
    return sections
