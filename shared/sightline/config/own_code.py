"""Code that a configuration names as ``module:attribute``: readers and metrics of a recipe's own."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sightline.config.metric_choice import metric_of
from sightline.config.schema import Config
from sightline.errors import ConfigurationError
from sightline.names import is_own_code, load_own_code

_METRICS = "evaluate.metrics"

UserMetric = Callable[[Any, Sequence[Any]], object]
"""Takes one split as a COCO document, and the predictions of a model for its images with all scores."""


def open_user_metrics(names: Sequence[str]) -> dict[str, UserMetric]:
    """Import the metrics of ``evaluate.metrics``.

    Args:
        names: ``module:function`` of each.

    Returns:
        Name of the metric -> function.

    Raises:
        ConfigurationError: With all functions that cannot be imported or called.
    """
    functions, faults = {}, []
    for name in names:
        try:
            functions[metric_of(name)] = _function(name)
        except ConfigurationError as error:
            faults.append(str(error))
    if faults:
        raise ConfigurationError("; ".join(faults))
    return functions


def check_user_metrics(config: Config) -> None:
    """Reject metrics that cannot be imported, unless a package that they need is only missing in this environment.

    Raises:
        ConfigurationError: With all functions that cannot be imported or called.
    """
    faults = []
    for name in config.evaluate.metrics:
        try:
            _function(name)
        except ConfigurationError as error:
            if not lacks_package(error, name):
                faults.append(str(error))
    if faults:
        raise ConfigurationError("; ".join(faults))


def lacks_package(error: ConfigurationError, name: str) -> bool:
    """Whether code exists but could not be imported, because a package that it imports is not installed here.

    Small images of a pipeline have fewer packages than those that evaluate.

    Args:
        error: The error of the import.
        name: ``module:attribute`` of the code.
    """
    cause, module = error.__cause__, name.partition(":")[0]
    if not isinstance(cause, ModuleNotFoundError) or cause.name is None:
        return False
    return module != cause.name and not module.startswith(f"{cause.name}.")


def own_code_digests(config: Config) -> list[str]:
    """The digests of the modules of reader and metrics, so that a change of their code is measured again.

    What these modules import themselves is not part of the digests.

    Args:
        config: The complete configuration.

    Returns:
        ``module:sha256`` of each file; empty if the configuration names no code of its own.  A module that cannot be
        found is left out: opening it is an error elsewhere.
    """
    named = [name for name in (config.reading, *config.evaluate.metrics) if is_own_code(name)]
    digests = []
    for module in dict.fromkeys(name.partition(":")[0] for name in named):
        try:
            found = importlib.util.find_spec(module)
            if found is not None and found.has_location and found.origin is not None:
                digests.append(f"{module}:{hashlib.sha256(Path(found.origin).read_bytes()).hexdigest()}")
        except (ImportError, ValueError, OSError):
            continue
    return digests


def _function(name: str) -> UserMetric:
    function = load_own_code(name, _METRICS)
    if not callable(function):
        raise ConfigurationError(f"{_METRICS}: {name} is {type(function).__name__}; expected a function")
    metric: UserMetric = function
    return metric
