"""Metrics of a recipe's own: ``evaluate.metrics`` names functions of truth and predictions.

Such a function returns the value of the metric, or a numerator and a denominator for each image::

    def plate_recall(truth: CocoDocument, predictions: Sequence[Detections]) -> dict[int, tuple[float, float]]:
        ...

The name of the function is the name of the metric.  With numerators and denominators, the value is the ratio of their
sums, and the metric has confidence intervals; a single number has none, because it says nothing about single images.
A name that ends in ``_error`` belongs to a metric of which smaller values are better.

A function that fails does not affect the other metrics: its metric has no value, and pages and log say why.
"""

from __future__ import annotations

import copy
import logging
import math
import reprlib
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from sightline.config.own_code import UserMetric, open_user_metrics
from sightline.data.formats.coco import CocoDocument
from sightline.errors import DataError
from sightline.metrics.statistic import Ratio
from sightline.report.sections import TableSection
from sightline.tasks.evaluators import Evaluator, Measurement

_log = logging.getLogger(__name__)

_EXPECTED = "expected a number, or for each image id a pair of numbers (numerator, denominator)"

_LONGEST = 500
"""Characters of an error that are shown."""


def measure_with_user_metrics(
    evaluator: Evaluator,
    truth: CocoDocument,
    predictions: Sequence[Any],
    score_threshold: float,
    names: Sequence[str],
) -> Measurement:
    """Measure predictions as the task does, and by the metrics of a recipe's own.

    Args:
        evaluator: The evaluator of the task.
        truth: One split; functions get a copy, which they may change.
        predictions: One per image, with all scores; functions get a copy.
        score_threshold: Lowest score that counts where a decision is needed.
        names: ``module:function`` of each metric, from ``evaluate.metrics``.

    Raises:
        ConfigurationError: A function cannot be imported.
        DataError: Truth or predictions are invalid.
    """
    functions = open_user_metrics(names)
    measured = evaluator.measure(truth, predictions, score_threshold)
    if not functions:
        return measured
    values: dict[str, float] = {}
    statistics: dict[str, Ratio] = {}
    obstacles: dict[str, str] = {}
    images = [image["id"] for image in truth["images"]]
    for (name, function), source in zip(functions.items(), names, strict=True):
        try:
            if name in measured.metrics:
                raise DataError("has the name of a metric of the task; rename the function")
            value, statistic = _called(function, images, *copy.deepcopy((truth, predictions)))
        except DataError as error:
            obstacles[name] = f"{source} {error}"
            _log.warning("%s has no value: %s", name, obstacles[name])
            continue
        values[name] = value
        if statistic is not None:
            statistics[name] = statistic
    return replace(
        measured,
        metrics=measured.metrics | values,
        sections=[*measured.sections, _section(functions, values, statistics, obstacles)],
        statistics={**measured.statistics, **statistics},
        obstacles={**measured.obstacles, **obstacles},
    )


def _called(
    function: UserMetric, images: Sequence[int], truth: CocoDocument, predictions: Sequence[Any]
) -> tuple[float, Ratio | None]:
    """The value of a function and the statistic if there is one.

    Raises:
        DataError: It has no value, as the predicate of a sentence whose subject is the function.
    """
    try:
        returned = function(truth, predictions)
        pairs = dict(returned.items()) if isinstance(returned, Mapping) else None
    except (Exception, SystemExit) as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        text = _on_one_line(str(error))
        raise DataError(f"raised {type(error).__name__}: {text} ({last.filename}, line {last.lineno})") from error
    if pairs is None:
        return _number(returned), None
    ratio = _ratio(pairs, images)
    with np.errstate(over="ignore"):
        (value,) = ratio.values(np.ones((1, len(images)))).tolist()
    if math.isnan(value):
        raise DataError("returned only denominators of 0, so no image counts")
    if math.isinf(value):
        raise DataError(f"returned pairs whose ratio is {value}; expected smaller numbers")
    return value, ratio


def _number(returned: object) -> float:
    if not _is_number(returned):
        shown = "None" if returned is None else type(returned).__name__
        raise DataError(f"returned {shown}; {_EXPECTED}")
    number = _as_float(returned)
    if not math.isfinite(number):
        raise DataError(f"returned {number}; {_EXPECTED}")
    return number


def _ratio(returned: Mapping[Any, Any], images: Sequence[int]) -> Ratio:
    places = {image: place for place, image in enumerate(images)}
    sums = np.zeros((2, len(images)))
    for image, pair in returned.items():
        if image not in places:
            raise DataError(f"returned a value for image {reprlib.repr(image)}, but the split has no such image id")
        if not _is_pair(pair):
            raise DataError(f"returned {reprlib.repr(pair)} for image {image}; {_EXPECTED}")
        numbers = [_as_float(number) for number in pair]
        if not all(map(math.isfinite, numbers)) or numbers[1] < 0:
            raise DataError(
                f"returned {tuple(numbers)} for image {image}; expected finite numbers, and a denominator >= 0"
            )
        sums[:, places[image]] = numbers
    return Ratio(sums[0], sums[1])


def _on_one_line(text: str) -> str:
    """The beginning of a text without what would control a terminal."""
    return "".join(character for character in " ".join(text.split()) if character.isprintable())[:_LONGEST]


def _is_pair(value: object) -> bool:
    if not isinstance(value, list | tuple) and not (isinstance(value, np.ndarray) and value.ndim == 1):
        return False
    return len(value) == 2 and all(_is_number(one) or isinstance(one, bool | np.bool_) for one in value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def _as_float(number: Any) -> float:  # noqa: ANN401  (any number)
    """A number as a float; infinite if it is too large for one."""
    try:
        return float(number)
    except OverflowError:
        return math.inf


def _section(
    functions: Mapping[str, UserMetric],
    values: Mapping[str, float],
    statistics: Mapping[str, Ratio],
    obstacles: Mapping[str, str],
) -> TableSection:
    """The table of the metrics; those without a value are explained above it."""
    meanings = [f"{name}: {text}" for name, function in functions.items() if (text := _meaning(function))]
    lacking = [f"{name} has no value, because {reason}" for name, reason in obstacles.items()]
    bounds = [f"{name} has no interval, because it is a single number" for name in values if name not in statistics]
    return TableSection(
        id="user-metrics",
        title="Metrics of the recipe",
        link="Own metrics",
        lead=" ".join(f"{text.rstrip('.')}." for text in [*meanings, *lacking, *bounds]),
        head="metric",
        columns=["value"],
        rows={name: {"value": values[name]} if name in values else {} for name in functions},
    )


def _meaning(function: UserMetric) -> str:
    """The first line of the docstring of a function."""
    lines = (function.__doc__ or "").strip().splitlines()
    return _on_one_line(lines[0]) if lines else ""
