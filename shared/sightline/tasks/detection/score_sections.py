"""The page sections about the scores of a detector."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from sightline.metrics.reliability import best_operating_point, reliability, right_and_wrong
from sightline.metrics.statistic import Bools, Floats
from sightline.plural import counted
from sightline.report.score_sections import calibration_section, histograms_of_scores, thresholds_section
from sightline.report.sections import Section

LOWEST = 0.05
"""Detections with a lower score are not drawn: there are many, and nobody uses them."""


def score_sections(
    scores: Floats, right: Bools, classes: npt.NDArray[np.intp], truths: Mapping[str, int], *, chosen_here: bool
) -> list[Section]:
    """Histograms of right and wrong detections by score, calibration, and the best threshold of each class.

    Args:
        scores: [N], 0 to 1.
        right: [N], whether the detection is matched with a true object of its class at IoU 0.5.
        classes: [N], position of the class in ``truths``.
        truths: Class -> number of its true objects.
        chosen_here: Whether thresholds may be chosen on this split; they are not on the test split.
    """
    counts = scores >= LOWEST
    found = {"All classes": (scores[counts], right[counts])} if counts.any() else {}
    left_out = int((~counts).sum())
    note = f"Without {counted(left_out, 'detection')} with scores below {LOWEST:g}." if left_out else ""
    lead = (
        "A detection is right if it overlaps with a true object of its class at IoU 0.5 that no better one has taken."
    )
    sections: list[Section] = [
        histograms_of_scores(
            {title: right_and_wrong(*one) for title, one in found.items()},
            noun="detections",
            score="score",
            lead=lead,
            note=note,
        ),
        calibration_section(
            {title: reliability(*one) for title, one in found.items()}, noun="detections", score="score"
        ),
    ]
    if chosen_here:
        sections.append(
            thresholds_section(
                _thresholds(scores, right, classes, truths),
                "The score from which on detections of a class should count so that F1 is highest, chosen on this "
                "split, boxes at IoU 0.5. Predictions use one threshold for all classes (--score); a class whose best "
                "threshold is far from it loses objects, or has false detections.",
            )
        )
    return sections


def _thresholds(
    scores: Floats, right: Bools, classes: npt.NDArray[np.intp], truths: Mapping[str, int]
) -> dict[str, dict[str, float]]:
    rows: dict[str, dict[str, float]] = {}
    for place, (name, number) in enumerate(truths.items()):
        mine = classes == place
        point = best_operating_point(scores[mine], right[mine], number) if number else None
        if point is not None:
            rows[name] = {
                "threshold": point.threshold, "F1": point.f1, "precision": point.precision, "recall": point.recall,
            }  # fmt: skip
    return rows
