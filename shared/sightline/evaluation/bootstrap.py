"""Intervals and paired comparisons of metrics by the bootstrap over groups of images.

Images of one group, such as near-duplicates or the frames of one camera, are not independent: whole groups are drawn,
with replacement, and an image counts as often as its group was drawn (Efron and Tibshirani, An Introduction to the
Bootstrap, 1993; Cameron, Gelbach and Miller, Bootstrap-Based Improvements for Inference with Clustered Errors, 2008).
If repeated images counted only once, a resample would be a sample of about 63 % of the images without replacement, and
intervals would be too narrow.  Two models are compared on the same resamples, because most of the variation between
samples of images is common to both.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sightline.metrics.statistic import Floats, Statistic

RESAMPLES = 1000
"""Enough for 95 % intervals: the error of their ends is a fraction of their width."""

LEVEL = 0.95
"""The level of intervals."""

_MOST_THREADS = 8

_LEAST_GROUPS = 2
"""A single group has no variation."""

_BLOCK = 64
"""Resamples whose weights are in memory at the same time."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A value and the limits of its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Difference:
    """The difference between two models by one metric; positive if the first one is better.

    Attributes:
        value: On the images of the split.
        low: Lower limit of the 95 % interval.
        high: Upper limit of the 95 % interval.
        error: Standard error.
        samples: The differences in all resamples in which both have a value; none if all images are one group.
    """

    value: float
    low: float
    high: float
    error: float
    samples: Floats

    def probability_above(self, margin: float) -> float:
        """The probability that the difference is above a margin: the share of resamples in which it is.

        The observed sample counts as one more resample in which it is not, so that a finite number of resamples never
        promises certainty, and errors stay below their level (Davison and Hinkley, Bootstrap Methods and their
        Application, 1997, section 4.2).  Differences that equal the margin count half.
        """
        above = np.count_nonzero(self.samples > margin) + np.count_nonzero(self.samples == margin) / 2
        return float(above / (len(self.samples) + 1))


def shown_by_groups(groups: int) -> float:
    """The largest probability of being better that groups of images can show: in all of them, by the sign test.

    The resamples of a few groups with differences that happen to be alike would promise more.

    Example:
        >>> shown_by_groups(3), shown_by_groups(6)
        (0.875, 0.984375)
    """
    return 1.0 - 0.5**groups


class Resamples:
    """Samples of groups of images, drawn with replacement.

    Args:
        groups: The group of each image, in the order of the split; an image without one (empty) is its own group.
        number: Number of samples.
        seed: Seed of the random numbers; the same images and seed always give the same samples.

    Attributes:
        groups: Number of groups.
    """

    def __init__(self, groups: Sequence[str], number: int = RESAMPLES, seed: int = 0) -> None:
        names = [group or f"\0{index}" for index, group in enumerate(groups)]
        self._group_of: npt.NDArray[np.intp] = np.unique(np.array(names, dtype=str), return_inverse=True)[1]
        self.groups = int(self._group_of.max()) + 1 if names else 0
        share = np.full(self.groups, 1 / max(self.groups, 1))
        random = np.random.default_rng(seed)
        self._counts = random.multinomial(self.groups, share, size=number).astype(np.uint16) if names else None
        self._number = number
        self._known: dict[int, tuple[Statistic, Floats]] = {}

    def values(self, statistic: Statistic, images: npt.NDArray[np.bool_] | None = None) -> Floats:
        """The values of a metric for every sample.

        Args:
            statistic: The metric of one model.
            images: [I], the images that count; None: all.

        Returns:
            [number of samples]; NaN where the metric cannot be computed.
        """
        if images is not None:
            return self._computed(statistic, images)
        key = id(statistic)
        if key not in self._known:  # with the statistic itself, so that no other one gets its id
            self._known[key] = statistic, self._computed(statistic, None)
        return self._known[key][1]

    def _computed(self, statistic: Statistic, images: npt.NDArray[np.bool_] | None) -> Floats:
        """The values for every sample, computed by threads: numpy leaves Python's lock for most of the time."""
        if self._counts is None:
            return np.full(self._number, np.nan)
        counts = self._counts

        def of_block(start: int) -> Floats:
            # float32 holds counts exactly, and a resample needs no more than seven digits.
            weights = counts[start : start + _BLOCK][:, self._group_of].astype(np.float32)
            return statistic.values(weights if images is None else weights * images)  # type: ignore[arg-type]

        with ThreadPoolExecutor(min(os.cpu_count() or 1, _MOST_THREADS)) as pool:
            return np.concatenate(list(pool.map(of_block, range(0, self._number, _BLOCK))))

    def interval(self, statistic: Statistic) -> Interval | None:
        """The value of a metric of one model and its interval; None if it cannot be computed on these images."""
        value = self.value(statistic)
        if np.isnan(value):
            return None
        _, low, high = self._limits(value, self.values(statistic), (0.0, 1.0))
        return Interval(value, low, high)

    def difference(
        self,
        one: Statistic,
        other: Statistic,
        images: npt.NDArray[np.bool_] | None = None,
        *,
        higher_is_better: bool = True,
    ) -> Difference | None:
        """By how much one model is better than another; None if the metric cannot be computed for one of them.

        Args:
            one: The metric of one model.
            other: The same metric of the other model on the same split.
            images: [I], the images that count; None: all.
            higher_is_better: Whether larger values of the metric are better.
        """
        sign = 1.0 if higher_is_better else -1.0
        value = sign * (self.value(one, images) - self.value(other, images))
        if np.isnan(value):
            return None
        differences = sign * (self.values(one, images) - self.values(other, images))
        samples, low, high = self._limits(value, differences, (-1.0, 1.0))
        error = float(samples.std()) if len(samples) else 0.0
        return Difference(value, low, high, error, samples)

    def value(self, statistic: Statistic, images: npt.NDArray[np.bool_] | None = None) -> float:
        """The value of a metric on all images, or on those that count; NaN if it cannot be computed."""
        counted = np.ones(len(self._group_of)) if images is None else images.astype(np.float64)
        return float(statistic.values(counted[None])[0]) if len(counted) else float("nan")

    def _limits(self, value: float, samples: Floats, bounds: tuple[float, float]) -> tuple[Floats, float, float]:
        """The samples with a value, spread as far as those of small samples are, and the ends of the interval.

        If no sample is outside of ``bounds``, the interval is not either.

        The spread of resamples of G groups is too small by the factor sqrt((G - 1) / G), and with few groups the ends
        of an interval are those of Student's t distribution rather than of the normal distribution (Hesterberg, What
        Teachers Should Know About the Bootstrap, 2015).
        """
        from scipy import stats

        samples = samples[~np.isnan(samples)]
        if not len(samples) or self.groups < _LEAST_GROUPS:
            return samples[:0], value, value
        tails = float(stats.t.ppf((1 + LEVEL) / 2, self.groups - 1) / stats.norm.ppf((1 + LEVEL) / 2))
        bounded = bool(samples.min() >= bounds[0] and samples.max() <= bounds[1])
        samples = value + (samples - value) * np.sqrt(self.groups / (self.groups - 1)) * tails
        low, high = np.quantile(samples, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        if bounded:
            low, high = max(low, bounds[0]), min(high, bounds[1])
        return samples, float(low), float(high)
