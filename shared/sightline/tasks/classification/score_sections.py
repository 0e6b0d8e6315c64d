"""The page sections about the probabilities of a classifier."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sightline.metrics.reliability import reliability, right_and_wrong
from sightline.metrics.statistic import Bools, Floats
from sightline.report.score_sections import calibration_section, histograms_of_scores
from sightline.report.sections import Section
from sightline.tasks.classification.truth import LabelSetResults


def probability_sections(results: Sequence[LabelSetResults]) -> list[Section]:
    """Histograms of right and wrong decisions by probability, and calibration, of each label set."""
    decided = {one.schema.name: _decisions(one) for one in results if len(one.truth)}
    titles = {name: f"Label set {name}" if len(results) > 1 else "All images" for name in decided}
    several = any(one.schema.multiple for one in results)
    lead = "An image is right if its class is the true one."
    if several:
        lead = (
            "Of label sets with any number of classes per image, each class is a decision, by its probability; it is "
        )
        lead += "right if the class applies to the image."
    return [
        histograms_of_scores(
            {titles[name]: right_and_wrong(*found) for name, found in decided.items()},
            noun="decisions" if several else "images",
            score="probability",
            lead=lead,
        ),
        calibration_section(
            {titles[name]: reliability(*found) for name, found in decided.items()},
            noun="decisions" if several else "images",
            score="probability",
        ),
    ]


def _decisions(results: LabelSetResults) -> tuple[Floats, Bools]:
    """Probability and correctness of each decision, as in the calibration error."""
    if results.schema.multiple:
        return results.probabilities.ravel(), results.truth.ravel()
    decisions = results.decisions
    return results.probabilities[decisions], np.asarray((results.truth & decisions).any(axis=1))
