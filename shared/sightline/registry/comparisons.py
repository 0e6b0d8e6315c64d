"""Finding the evaluation that measured two models on the same images."""

from __future__ import annotations

from dataclasses import dataclass

from sightline.registry.results import EvaluateResult
from sightline.registry.store import results_of_dataset
from sightline.storage import Storage


@dataclass(frozen=True, slots=True)
class Comparison:
    """The values of a model and of the champion in one evaluation.

    Attributes:
        evidence: URI of the evaluation.
        value: The model's value, 0 to 1.
        champion_value: The champion's value on the same images and classes; None if there was no champion.
    """

    evidence: str
    value: float
    champion_value: float | None


def find_comparison(
    storage: Storage, dataset: str, metric: str, sha256: str, champion_sha256: str
) -> Comparison | None:
    """The newest evaluation that measured a model and a champion on all classes, or None.

    Args:
        storage: The result bucket.
        dataset: The dataset's name.
        metric: The metric to compare by.
        sha256: The model.
        champion_sha256: The champion; empty to look for a measurement of the model alone.
    """
    for result in results_of_dataset(storage, EvaluateResult, dataset):
        values = {
            model.sha256: model.metrics[metric]
            for model in result.models
            if not model.classes and metric in model.metrics
        }
        if sha256 in values and (not champion_sha256 or champion_sha256 in values):
            return Comparison(result.files, values[sha256], values.get(champion_sha256) if champion_sha256 else None)
    return None
