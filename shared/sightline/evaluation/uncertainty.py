"""The intervals of the metrics of a model."""

from __future__ import annotations

from collections.abc import Collection

from sightline.evaluation.bootstrap import Resamples
from sightline.tasks.evaluators import Measurement


def intervals(measured: Measurement, names: Collection[str], resamples: Resamples) -> dict[str, list[float]]:
    """The 95 % intervals of some metrics.

    Args:
        measured: The measurement of a model.
        names: The metrics; those without values per image have no interval.
        resamples: Resamples of the images of the split.

    Returns:
        Metric -> lower and upper limit.
    """
    found = {}
    for name, statistic in measured.statistics.items():
        if name in names and (interval := resamples.interval(statistic)) is not None:
            found[name] = [interval.low, interval.high]
    return found
