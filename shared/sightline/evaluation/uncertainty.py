"""How far the numbers of a model can be trusted: their intervals, and whether the saved model is the trained one."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sightline.evaluation.bootstrap import Resamples
from sightline.tasks.evaluators import Measurement

TOLERANCE = 0.005
"""Largest difference between a metric before a model was saved and after it was loaded, which rounding explains."""

_SHOWN = 4


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


def parity(trained: Mapping[str, float], loaded: Mapping[str, float]) -> str:
    """Compare the metrics of a model in memory with those of its file, loaded back from the result bucket.

    Args:
        trained: Metrics on the val split that training measured before it saved the model.
        loaded: Metrics of the loaded model on the same split.

    Returns:
        One sentence without a full stop; empty if they have no metric in common.

    Example:
        >>> parity({"box_AP": 0.5}, {"box_AP": 0.5, "EIR": 1.0})
        'the same metrics as before it was saved (box_AP)'
        >>> parity({"box_AP": 0.5}, {"box_AP": 0.4})
        'other metrics than before it was saved: box_AP 0.4000 instead of 0.5000'
    """
    common = [name for name in loaded if name in trained]
    if not common:
        return ""
    differing = [name for name in common if abs(trained[name] - loaded[name]) > TOLERANCE]
    if differing:
        shown = ", ".join(f"{name} {loaded[name]:.4f} instead of {trained[name]:.4f}" for name in differing[:_SHOWN])
        return f"other metrics than before it was saved: {shown}"
    more = f" and {len(common) - _SHOWN} more" if len(common) > _SHOWN else ""
    return f"the same metrics as before it was saved ({', '.join(common[:_SHOWN])}{more})"
