"""The statistics of a classifier's metrics, for intervals, the gate and slices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from sightline.data.formats.coco import CocoDocument
from sightline.metrics.classification_statistics import (
    CalibrationError,
    DecisionScore,
    MeanOf,
    RankingScore,
    share,
)
from sightline.metrics.statistic import Bools, Columns, Ratio, Statistic
from sightline.tasks.classification.truth import LabelSetResults

_AVERAGES = ("macro", "weighted", "micro")
_SCORES = ("precision", "recall", "f1")
_RANKINGS = ("auroc", "average_precision")


def classifier_statistics(
    truth: CocoDocument, results: Sequence[LabelSetResults]
) -> tuple[dict[str, Statistic], dict[str, dict[str, Statistic]]]:
    """The statistics of all metrics, and those of single classes.

    Args:
        truth: The split.
        results: Truth and predictions by label set.

    Returns:
        Metric -> statistic; metric -> class -> statistic.  The class value of accuracy is recall: how many of the
        images with the class are right.
    """
    place = {image["id"]: index for index, image in enumerate(truth["images"])}
    count = len(place)
    columns = [np.array([place[id_] for id_ in one.image_ids.tolist()], dtype=np.intp) for one in results]
    of_sets = [_of_set(one, images, count) for one, images in zip(results, columns, strict=True)]
    statistics: dict[str, Statistic] = {}
    for name in dict.fromkeys(name for found in of_sets for name in found):
        parts = [found[name] for found in of_sets if name in found]
        statistics[name] = parts[0] if len(parts) == 1 else MeanOf(parts)
    if len(results) > 1:
        for one, found in zip(results, of_sets, strict=True):
            statistics |= {f"{name}/{one.schema.name}": found[name] for name in ("accuracy", "f1_macro", "auroc")}
        statistics["joint_accuracy"] = _joint(results, columns, count)
    return statistics, _of_classes(results, columns)


def _of_set(one: LabelSetResults, images: Columns, count: int) -> dict[str, Statistic]:
    """The statistics of one label set."""
    decisions = one.decisions
    found: dict[str, Statistic] = {
        "accuracy": share(images, one.right, count),
        "calibration_error": CalibrationError(
            images, one.truth, one.probabilities, decisions, multiple=one.schema.multiple
        ),
    }
    for score in _SCORES:
        for average in _AVERAGES:
            found[f"{score}_{average}"] = DecisionScore(images, one.truth, decisions, score, average)  # type: ignore[arg-type]
    for ranking in _RANKINGS:
        found[ranking] = MeanOf([_ranking(one, images, column, ranking) for column in range(one.truth.shape[1])])
    return found


def _ranking(one: LabelSetResults, images: Columns, column: int, score: str) -> RankingScore:
    return RankingScore(images, one.truth[:, column], one.probabilities[:, column], score)  # type: ignore[arg-type]


def _joint(results: Sequence[LabelSetResults], columns: Sequence[Columns], count: int) -> Ratio:
    """The share of images that are right in all label sets, of those that have a truth in all."""
    right: Bools = np.ones(count, dtype=bool)
    known: Bools = np.ones(count, dtype=bool)
    for one, images in zip(results, columns, strict=True):
        here, correct = np.zeros(count, dtype=bool), np.zeros(count, dtype=bool)
        here[images], correct[images] = True, one.right
        known &= here
        right &= correct
    return Ratio((right & known).astype(np.float64), known.astype(np.float64))


def _of_classes(results: Sequence[LabelSetResults], columns: Sequence[Columns]) -> dict[str, dict[str, Statistic]]:
    found: dict[str, dict[str, Statistic]] = {}
    for one, images in zip(results, columns, strict=True):
        decisions = one.decisions
        for column, name in enumerate(one.schema.classes):
            label = f"{one.schema.name}/{name}" if len(results) > 1 else name
            of_class: Mapping[str, Statistic] = {
                score: DecisionScore(images, one.truth[:, [column]], decisions[:, [column]], score)  # type: ignore[arg-type]
                for score in _SCORES
            } | {ranking: _ranking(one, images, column, ranking) for ranking in _RANKINGS}
            for metric in ("accuracy", "joint_accuracy", "recall_macro"):
                found.setdefault(metric, {})[label] = of_class["recall"]
            of_metric = {"precision_macro": "precision", "f1_macro": "f1"} | {name: name for name in _RANKINGS}
            for metric, source in of_metric.items():
                found.setdefault(metric, {})[label] = of_class[source]
    return found
