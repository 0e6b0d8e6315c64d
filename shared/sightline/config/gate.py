"""The section ``evaluate.gate``: the rule by which the best candidate replaces a champion."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Annotated

from pydantic import BeforeValidator, Field

from sightline.config.section import Section


def _margins(value: object) -> object:
    """Reject values other than a fraction or a mapping to fractions, with one message."""
    numbers = list(value.values()) if isinstance(value, dict) else [value]
    if not all(isinstance(one, int | float) and not isinstance(one, bool) and 0 <= one <= 1 for one in numbers):
        raise ValueError("a number from 0 to 1, or one for each name, such as {crack: 0.02}")
    return value


Margins = Annotated[
    float | dict[str, float] | None, BeforeValidator(lambda given: given if given is None else _margins(given))
]
Limit = Annotated[float | None, Field(gt=0)]


class Gate(Section):
    """The rule by which the best candidate replaces the champion; every part that is set must hold."""

    confidence: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.95,
        description=(
            "Required probability that the candidate is better than the champion by more than evaluate.min_improvement;"
            " 0: only the values are compared"
        ),
    )
    resamples: Annotated[int, Field(ge=100, le=100_000)] = Field(
        1000, description="Number of resamples of the bootstrap that gives intervals and probabilities"
    )
    class_margin: Margins = Field(
        None,
        description=(
            "Largest loss in a class that the candidate must exclude with this confidence (non-inferiority): one number"
            " for all classes, or one per class; empty: no limit"
        ),
    )
    slice_margin: Margins = Field(
        None,
        description=(
            "Largest loss in a slice that the candidate must exclude with this confidence: one number for all slices"
            " of ten images or more, or one per slice, such as {'brightness: dark': 0.05}; empty: no limit"
        ),
    )
    floors: dict[str, float] = Field(
        {},
        description=(
            "Values that a candidate must reach to become champion, by metric, such as {box_AP50: 0.9}; of an error,"
            " the largest value"
        ),
    )
    max_latency_ms: Limit = Field(None, description="Largest 95th percentile of the time for one image, milliseconds")
    max_memory_gb: Limit = Field(None, description="Largest peak memory during inference, GiB")
    max_size_mb: Limit = Field(None, description="Largest model file, MB")


def margins_by_name(margin: float | Mapping[str, float] | None, names: list[str]) -> dict[str, float]:
    """The margin of each name that has one.

    Args:
        margin: One number for all names, one per name, or None.
        names: The names of the classes or slices.
    """
    if margin is None:
        return {}
    if isinstance(margin, Mapping):
        return {name: margin[name] for name in names if name in margin}
    return dict.fromkeys(names, margin)


def resamples_for(probability: float) -> int:
    """The number of resamples that can show a probability, which is less than 1."""
    return ceil(probability / (1 - probability))


def shown_by(resamples: int) -> float:
    """The highest probability that so many resamples can show."""
    return resamples / (resamples + 1)
