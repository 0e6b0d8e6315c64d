"""Checks that the task and reading of a configuration produce the metrics it refers to."""

from __future__ import annotations

from sightline.config.gate import resamples_for, shown_by
from sightline.config.schema import Config
from sightline.config.task_declarations import known_metrics, task_declaration
from sightline.errors import ConfigurationError
from sightline.names import unknown_name

_LONGEST_NAME = 100
"""Characters of the name of a metric in the database."""


def check_best_metric(config: Config) -> None:
    """Reject a ``train.best_metric`` that validation does not compute.

    Raises:
        ConfigurationError: It is unknown, or is computed only after training.
    """
    known = task_declaration(config.task).validated(config.reading)
    if config.train.best_metric not in known:
        raise ConfigurationError(
            f"train.best_metric: {unknown_name('validation metric', config.train.best_metric, known)}"
        )


def check_select_by(config: Config) -> None:
    """Reject metrics that no model will have, before anything is measured.

    Raises:
        ConfigurationError: A name in ``evaluate.select_by`` or ``evaluate.minimum`` is unknown or a duplicate, or needs
            another reading than the configured one; or a metric in ``evaluate.metrics`` has the name of another one.
    """
    declared = task_declaration(config.task)
    known = (*declared.metric_names, *_own_metrics(config))
    names, minimum = config.evaluate.select_by, config.evaluate.minimum
    for name in names:
        if name not in known:
            raise ConfigurationError(f"evaluate.select_by: {unknown_name('metric', name, known)}")
        if names.count(name) > 1:
            raise ConfigurationError(f"evaluate.select_by: {name} is listed twice; list every metric once")
    for name in minimum if isinstance(minimum, dict) else ():
        if name not in known:
            raise ConfigurationError(f"evaluate.minimum: {unknown_name('metric', name, known)}")
    reading_now = declared.reading_named(config.reading)
    read_now = "" if reading_now is None else reading_now.metric.name
    for reading, read in declared.readings.items():
        if read.metric.name in names and read.metric.name != read_now:
            raise ConfigurationError(
                f"evaluate.select_by: {read.metric.name} {read.meaning}, but reading is {config.reading}; "
                f"set reading={reading}, or select by another metric"
            )


def check_gate(config: Config) -> None:
    """Reject a gate that names metrics or classes that no model will have, before anything is trained.

    Names of slices are checked by evaluate, which knows the slices of the data.

    Raises:
        ConfigurationError: A name in ``evaluate.gate`` is unknown, or too few resamples are set for its confidence.
    """
    gate, known = config.evaluate.gate, (*task_declaration(config.task).metric_names, *_own_metrics(config))
    if gate.confidence > shown_by(gate.resamples):
        needed = resamples_for(gate.confidence)
        raise ConfigurationError(
            f"evaluate.gate.confidence: {gate.confidence} needs {needed} resamples, but evaluate.gate.resamples is "
            f"{gate.resamples}, so no candidate would pass; set more resamples, or a lower confidence"
        )
    for name in gate.floors:
        if name.partition("/")[0] not in known:
            raise ConfigurationError(f"evaluate.gate.floors: {unknown_name('metric', name, known)}")
    classes = config.data.classes
    for name in gate.class_margin if isinstance(gate.class_margin, dict) else ():
        if name not in classes:
            raise ConfigurationError(f"evaluate.gate.class_margin: {unknown_name('class', name, classes)}")


def metric_of(function: str) -> str:
    """The name of the metric of a function ``module:function`` in ``evaluate.metrics``."""
    return function.rpartition(":")[2]


def _own_metrics(config: Config) -> list[str]:
    """The names of the metrics of ``evaluate.metrics``.

    Raises:
        ConfigurationError: One has the name of another metric, or a name that is too long for the database.
    """
    names = [metric_of(function) for function in config.evaluate.metrics]
    for name, function in zip(names, config.evaluate.metrics, strict=True):
        built_in = name in known_metrics()
        if built_in or names.count(name) > 1:
            same = "a built-in metric" if built_in else "another metric of evaluate.metrics"
            raise ConfigurationError(f"evaluate.metrics: {function} has the name of {same}; rename the function")
        if len(name) > _LONGEST_NAME:
            raise ConfigurationError(
                f"evaluate.metrics: the name of {function} has {len(name)} characters, the limit is {_LONGEST_NAME}; "
                "rename the function"
            )
    return names
