"""Several runs of one method: mean and spread of their metrics, such as over the folds of a cross-validation."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sightline.config.difference import PLACES, differences
from sightline.database import Lineage
from sightline.report.lineage.document import run_configuration
from sightline.report.lineage.runs_comparison import RunSide, measured_values, run_side, side_document
from sightline.report.lineage.wording import metric_order

FOLD = "data.fold"
"""The setting in which runs of a cross-validation differ."""


@dataclass(frozen=True, slots=True)
class MetricSpread:
    """A metric over several runs.

    Attributes:
        split: ``val`` or ``test``.
        name: Such as ``mask_AP``.
        values: The value of each run; None where it was not measured.
        mean: Mean of the measured values.
        deviation: Their sample standard deviation (divided by n - 1); None with fewer than two values.
        smallest: The smallest value.
        largest: The largest value.
    """

    split: str
    name: str
    values: list[float | None]
    mean: float
    deviation: float | None
    smallest: float
    largest: float


@dataclass(frozen=True, slots=True)
class Spread:
    """Several runs, and the spread of their metrics.

    Attributes:
        runs: The runs.
        folds: The fold of each run, from 1; 0 for a run without a fold.
        number_of_folds: ``data.folds`` of the runs, if it is the same for all; otherwise 0.
        differing: The settings, other than the fold and locations, in which the runs differ.
        metrics: The metrics, val first.
    """

    runs: list[RunSide]
    folds: list[int]
    number_of_folds: int
    differing: list[str]
    metrics: list[MetricSpread]

    @property
    def missing_folds(self) -> list[int]:
        """The folds of the cross-validation without a run."""
        return sorted(set(range(1, self.number_of_folds + 1)) - set(self.folds)) if any(self.folds) else []

    def document(self) -> dict[str, Any]:
        """As JSON values; the keys are stable."""
        return {
            "runs": [side_document(run) | {"fold": fold} for run, fold in zip(self.runs, self.folds, strict=True)],
            "number_of_folds": self.number_of_folds,
            "missing_folds": self.missing_folds,
            "differing": self.differing,
            "metrics": [asdict(one) for one in self.metrics],
        }


def is_cross_validation(lineages: Sequence[Lineage]) -> bool:
    """Whether runs were made with different folds of the same cross-validation."""
    folds = [_fold(lineage) for lineage in lineages]
    return all(folds) and len(set(folds)) == len(folds)


def spread_of_runs(lineages: Sequence[Lineage]) -> Spread:
    """The spread of several runs; each is represented by its best candidate by its first metric.

    Args:
        lineages: The lineage of each run.
    """
    sides = [run_side(lineage) for lineage in lineages]
    values = [measured_values(lineage, side) for lineage, side in zip(lineages, sides, strict=True)]
    keys = sorted({key for one in values for key in one}, key=lambda key: (key[0] != "val", metric_order(key[1])))
    counts = {int(_data(lineage).get("folds") or 0) for lineage in lineages}
    return Spread(
        runs=sides,
        folds=[_fold(lineage) for lineage in lineages],
        number_of_folds=counts.pop() if len(counts) == 1 else 0,
        differing=_differing(lineages),
        metrics=[_metric(*key, [one.get(key) for one in values]) for key in keys],
    )


def _metric(split: str, name: str, values: list[float | None]) -> MetricSpread:
    known = [value for value in values if value is not None]
    deviation = statistics.stdev(known) if len(known) > 1 else None
    return MetricSpread(split, name, values, statistics.fmean(known), deviation, min(known), max(known))


def _differing(lineages: Sequence[Lineage]) -> list[str]:
    first, *others = [run_configuration(lineage.runs[0]) for lineage in lineages]
    paths = {one.path for other in others for one in differences(first, other)} - {FOLD}
    return sorted(path for path in paths if not any(f"{path}.".startswith(f"{place}.") for place in PLACES[1:]))


def _fold(lineage: Lineage) -> int:
    return int(_data(lineage).get("fold") or 0)


def _data(lineage: Lineage) -> dict[str, Any]:
    data: dict[str, Any] = run_configuration(lineage.runs[0]).get("data") or {}
    return data
