"""The declarations of all tasks: their settings, metrics and readings, without importing torch."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Literal

from sightline.names import NameTable, is_own_code, unknown_name

if TYPE_CHECKING:
    from sightline.config.network import Network
    from sightline.config.schema import Config


DEFAULT_TASK = "instance_segmentation"
"""The task of documents written before there were several tasks."""

TASK_NAMES = ("instance_segmentation", "object_detection", "keypoints", "classification")
"""All tasks; each is a folder with its name in :mod:`sightline.tasks`, whose modules are imported on use.

``declaration`` contains everything that does not need torch; ``task`` trains and predicts; ``evaluator`` measures and
draws.
"""

DECLARATIONS = NameTable("task", dict.fromkeys(TASK_NAMES, "sightline.tasks.*.declaration:DECLARATION"))


Needs = Literal["objects", "keypoints", "image_labels"]
"""The labels that a task trains on."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A numeric quality measure of a model.

    Attributes:
        name: Such as ``box_AP50``.
        title: Title for users.
        higher_is_better: Whether larger values are better.
        unit: Unit of the value.
        place: Position in short lists of metrics, from 1; 0: not listed.
        headline: Whether it is one of the few metrics that summarize a run.
    """

    name: str
    title: str
    higher_is_better: bool = True
    unit: str = "0 to 1"
    place: int = 0
    headline: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """A structured reading of predictions.

    Attributes:
        metric: The metric that measures it.
        meaning: What the metric measures, as the predicate of a sentence.
        noun: The object that is read, such as ``plate``.
    """

    metric: Metric
    meaning: str
    noun: str = "structure"


@dataclass(frozen=True, slots=True)
class TaskDeclaration:
    """The declaration of a task.

    Attributes:
        settings: Module and class of the settings of its network, imported on use.
        validation_metrics: Metrics that training computes at each validation.
        evaluation_metrics: Additional metrics of evaluate and test.
        main_metric: The default metric for selecting models.
        readings: Readings by their name in ``reading`` of the configuration.
        own_reading: What a reader of a recipe's own, ``module:attribute``, reads; None: the task reads nothing.
        families: Module and class of the settings of other networks, by their name in ``model.network``.
        needs: The labels that it trains on: objects, objects with keypoints, or labels of whole images.
        check: Module and function that takes a configuration, and rejects one that the task cannot use, before anything
            is trained; imported on use.  Empty: nothing to check.
        scored: Whether a score threshold decides which of its predictions count.
    """

    settings: str
    validation_metrics: tuple[Metric, ...]
    evaluation_metrics: tuple[Metric, ...]
    main_metric: str
    readings: Mapping[str, Reading] = field(default_factory=dict)
    own_reading: Reading | None = None
    families: Mapping[str, str] = field(default_factory=dict)
    needs: Needs = "objects"
    check: str = ""
    scored: bool = True

    @property
    def network(self) -> type[Network]:
        """The settings class of its network, ``model`` in the configuration, if ``model.network`` is not set."""
        return _imported(self.settings)

    def network_named(self, name: object) -> type[Network]:
        """The settings class of a network by its name in ``model.network``; None: the default.

        Raises:
            PydanticCustomError: The task has no such network.
        """
        if name is None:
            return self.network
        if not isinstance(name, str) or name not in self.families:
            from pydantic_core import PydanticCustomError

            from sightline.config.section import UNKNOWN_NAME

            text = unknown_name("network", name, self.families)
            raise PydanticCustomError(UNKNOWN_NAME, "{text}", {"text": f"{text}; or leave out model.network"})
        return _imported(self.families[name])

    @property
    def networks(self) -> list[type[Network]]:
        """The settings classes of all its networks, the default first."""
        return [self.network, *map(_imported, self.families.values())]

    def shown_from(self, score_threshold: float) -> float:
        """The lowest score of the predictions to show; 0 if no threshold decides which ones count."""
        return score_threshold if self.scored else 0.0

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """All metrics by which a model of this task can be selected; those of its readings last."""
        read = (reading.metric for reading in self.readings.values())
        return (*self.validation_metrics, *self.evaluation_metrics, *read)

    def validated(self, reading: str) -> tuple[str, ...]:
        """The names of the metrics that training computes at each validation, with this reading or ``none``."""
        read = self.reading_named(reading)
        metrics = self.validation_metrics if read is None else (*self.validation_metrics, read.metric)
        return tuple(metric.name for metric in metrics)

    def reading_named(self, name: str) -> Reading | None:
        """The reading with a name, or that of a recipe's own reader; None: there is none."""
        return self.own_reading if is_own_code(name) else self.readings.get(name)

    @property
    def metric_names(self) -> tuple[str, ...]:
        """The names of :attr:`metrics`."""
        return tuple(metric.name for metric in self.metrics)


def _imported(settings: str) -> type[Network]:
    module, _, name = settings.partition(":")
    found: type[Network] = getattr(importlib.import_module(module), name)
    return found


def check_of_task(config: Config) -> None:
    """Reject a configuration that its task cannot use.

    Raises:
        ConfigurationError: With the reasons.
    """
    if check := task_declaration(config.task).check:
        module, _, name = check.partition(":")
        getattr(importlib.import_module(module), name)(config)


def task_names() -> tuple[str, ...]:
    """The names of all tasks."""
    return TASK_NAMES


@cache
def task_declaration(name: str) -> TaskDeclaration:
    """The declaration of a task.

    Args:
        name: One of :func:`task_names`.
    """
    declaration: TaskDeclaration = DECLARATIONS.load(name, "task")
    return declaration


def reading_names() -> list[str]:
    """The names of the readings of all tasks, without duplicates."""
    return list(dict.fromkeys(name for task in task_names() for name in task_declaration(task).readings))


def reading_metrics() -> set[str]:
    """The names of the metrics of all readings."""
    return {read.metric.name for task in task_names() for read in task_declaration(task).readings.values()}


def known_metrics(tasks: Iterable[str] = ()) -> dict[str, Metric]:
    """The metrics of some tasks by name, without duplicates, in the order of the declarations.

    Args:
        tasks: Names of tasks; unknown names are ignored; empty: all tasks.
    """
    names = [name for name in tasks if name in DECLARATIONS] or task_names()
    return {metric.name: metric for name in names for metric in task_declaration(name).metrics}


def own_metrics(names: Iterable[str]) -> list[str]:
    """Those of some metrics that no task declares: the metrics of a recipe's own code."""
    declared = known_metrics()
    return [name for name in names if name not in declared]


def is_higher_better(metric: str) -> bool:
    """Whether larger values of a metric are better: as declared, and otherwise unless its name ends in ``_error``."""
    declared = known_metrics().get(metric)
    return not metric.endswith("_error") if declared is None else declared.higher_is_better


def counted_by_class(task: str) -> Literal["images", "instances"]:
    """What the numbers of a class count: images if the task labels whole images.

    Args:
        task: Name of a task; those of other releases count instances.
    """
    classified = task in DECLARATIONS and task_declaration(task).needs == "image_labels"
    return "images" if classified else "instances"


def headline_metrics(task: str = "") -> list[Metric]:
    """The few metrics that summarize a run of a task; empty: of any task."""
    return [metric for metric in known_metrics([task]).values() if metric.headline]


def index_metrics(task: str) -> list[str]:
    """The metrics in an index for a run of a task: the main metric, then the headline metrics."""
    main = [task_declaration(task).main_metric] if task in DECLARATIONS else []
    return list(dict.fromkeys([*main, *(metric.name for metric in headline_metrics(task))]))


def listed_metrics() -> list[str]:
    """The metrics in short lists of models, most important first, of all tasks."""
    placed = [metric for metric in known_metrics().values() if metric.place]
    return [metric.name for metric in sorted(placed, key=lambda metric: metric.place)]


def charted_metrics() -> list[str]:
    """The metrics of :func:`listed_metrics` that a validation computes, in the order of their declaration."""
    declared = (metric for task in task_names() for metric in task_declaration(task).validation_metrics)
    return list(dict.fromkeys(metric.name for metric in declared if metric.place))


def chosen_metrics(task: str) -> dict[str, dict[str, object]]:
    """The default metrics of a configuration, by section.

    Args:
        task: One of :func:`task_names`.
    """
    main = task_declaration(task).main_metric
    return {"train": {"best_metric": main}, "evaluate": {"select_by": [main]}}


def as_the_task_has_it(task: str, given: object) -> Network:
    """Validate the settings of a task's network.

    Args:
        task: One of :func:`task_names`.
        given: Settings, or their JSON values.

    Raises:
        pydantic.ValidationError: They are not valid.
    """
    from sightline.config.network import Network

    declaration = task_declaration(task)
    for network in declaration.networks:
        if isinstance(given, network):
            return given
    values = given.model_dump() if isinstance(given, Network) else given
    if not isinstance(values, dict):
        return declaration.network.model_validate(values)
    values = {name: value for name, value in values.items() if name != "network" or value not in ("", None)}
    return declaration.network_named(values.get("network")).model_validate(values)
