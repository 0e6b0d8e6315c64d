"""The metrics of all label sets together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sightline.metrics.classification import ClassificationScores, score_label_set
from sightline.tasks.classification.truth import LabelSetResults

_OF_EACH_SET = ("accuracy", "f1_macro", "auroc")
"""Metrics that are given for each label set, too, such as ``accuracy/mask``."""


def overall(results: Sequence[LabelSetResults]) -> tuple[dict[str, float], list[ClassificationScores]]:
    """The metrics of a model, and the scores of each label set.

    A metric is the mean over the label sets that have it.  If there are several, ``joint_accuracy`` is the share of
    images that are right in all label sets; images without a truth in a label set are left out.

    Args:
        results: Truth and predictions by label set.
    """
    scores = [
        score_label_set(one.truth, one.probabilities, one.decisions, multiple=one.schema.multiple) for one in results
    ]
    names = dict.fromkeys(name for one in scores for name in one.values)
    values = {name: float(np.mean([one.values[name] for one in scores if name in one.values])) for name in names}
    if len(results) > 1:
        for one, scored in zip(results, scores, strict=True):
            values |= {
                f"{name}/{one.schema.name}": scored.values[name] for name in _OF_EACH_SET if name in scored.values
            }
        right = [dict(zip(one.image_ids.tolist(), one.right.tolist(), strict=True)) for one in results]
        images = set(right[0]).intersection(*right[1:])
        if images:
            values["joint_accuracy"] = sum(all(one[id_] for one in right) for id_ in images) / len(images)
    return values, scores
