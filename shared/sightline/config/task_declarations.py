"""What each task says about itself before any network is built: its settings, metrics and readings, without torch."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from sightline.names import NameTable

if TYPE_CHECKING:
    from sightline.config.network import Network


DEFAULT_TASK = "instance_segmentation"
"""The task of documents that were written before there were several."""

TASK_NAMES = ("instance_segmentation", "object_detection")
"""The tasks that there are; each is a folder of that name in :mod:`sightline.tasks`, whose modules are imported on use.

``declaration`` is all that is known without torch; ``task`` trains and predicts; ``evaluator`` measures and draws.
"""

DECLARATIONS = NameTable("task", dict.fromkeys(TASK_NAMES, "sightline.tasks.*.declaration:DECLARATION"))


@dataclass(frozen=True, slots=True)
class Metric:
    """One number that says how good a model is.

    Attributes:
        name: Such as ``box_AP50``.
        title: What it is, for a person.
        higher_is_better: Whether a larger value is the better one.
        unit: Of the value.
        place: Its place in short lists of metrics, 1 first; 0: it is in none.
        headline: Whether it is one of the few numbers that stand for a run.
    """

    name: str
    title: str
    higher_is_better: bool = True
    unit: str = "0 to 1"
    place: int = 0
    headline: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """A structured reading of what is predicted.

    Attributes:
        metric: What measures it.
        meaning: What the metric does, as the predicate of a sentence.
        noun: What is read, such as ``plate``.
    """

    metric: Metric
    meaning: str
    noun: str = "structure"


@dataclass(frozen=True, slots=True)
class TaskDeclaration:
    """What a task says about itself.

    Attributes:
        settings: Module and class of the settings of its network, imported on use.
        validation_metrics: What training computes at each validation.
        evaluation_metrics: What evaluate and test compute besides.
        main_metric: The first of the metrics that tell models apart.
        readings: By the name that ``reading`` in the configuration has.
    """

    settings: str
    validation_metrics: tuple[Metric, ...]
    evaluation_metrics: tuple[Metric, ...]
    main_metric: str
    readings: Mapping[str, Reading] = field(default_factory=dict)

    @property
    def network(self) -> type[Network]:
        """The settings of its network, ``model`` in the configuration."""
        module, _, name = self.settings.partition(":")
        settings: type[Network] = getattr(importlib.import_module(module), name)
        return settings

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Every metric that a model of this task can be selected by, those of its readings last."""
        read = (reading.metric for reading in self.readings.values())
        return (*self.validation_metrics, *self.evaluation_metrics, *read)

    @property
    def metric_names(self) -> tuple[str, ...]:
        """The names of :attr:`metrics`."""
        return tuple(metric.name for metric in self.metrics)


def task_names() -> tuple[str, ...]:
    """The tasks that there are."""
    return TASK_NAMES


@cache
def task_declaration(name: str) -> TaskDeclaration:
    """What a task says about itself.

    Args:
        name: One of :func:`task_names`.
    """
    declaration: TaskDeclaration = DECLARATIONS.load(name, "task")
    return declaration


def reading_names() -> list[str]:
    """The readings of all tasks, each once."""
    return list(dict.fromkeys(name for task in task_names() for name in task_declaration(task).readings))


def reading_metrics() -> set[str]:
    """The names of the metrics of all readings."""
    return {read.metric.name for task in task_names() for read in task_declaration(task).readings.values()}


def known_metrics(tasks: Iterable[str] = ()) -> dict[str, Metric]:
    """The metrics of some tasks by name, each once, in the order in which the tasks declare them.

    Args:
        tasks: Names, of which unknown ones are passed over; empty: every task.
    """
    names = [name for name in tasks if name in DECLARATIONS] or task_names()
    return {metric.name: metric for name in names for metric in task_declaration(name).metrics}


def headline_metrics(task: str = "") -> list[Metric]:
    """The few metrics that stand for a run of a task; empty: of any task."""
    return [metric for metric in known_metrics([task]).values() if metric.headline]


def index_metrics(task: str) -> list[str]:
    """The names of what an index shows of a run of a task: the main metric, then the headlines."""
    main = [task_declaration(task).main_metric] if task in DECLARATIONS else []
    return list(dict.fromkeys([*main, *(metric.name for metric in headline_metrics(task))]))


def listed_metrics() -> list[str]:
    """The names of the metrics that a short list of models shows, the most telling first, of all tasks."""
    placed = [metric for metric in known_metrics().values() if metric.place]
    return [metric.name for metric in sorted(placed, key=lambda metric: metric.place)]


def charted_metrics() -> list[str]:
    """Those of :func:`listed_metrics` that a validation computes, in the order of their declaration."""
    declared = (metric for task in task_names() for metric in task_declaration(task).validation_metrics)
    return list(dict.fromkeys(metric.name for metric in declared if metric.place))


def chosen_metrics(task: str) -> dict[str, dict[str, object]]:
    """What decides where a configuration names no metric, by section.

    Args:
        task: One of :func:`task_names`.
    """
    main = task_declaration(task).main_metric
    return {"train": {"best_metric": main}, "evaluate": {"select_by": [main]}}


def as_the_task_has_it(task: str, given: object) -> Network:
    """The settings of a task's network.

    Args:
        task: One of :func:`task_names`.
        given: Settings, or what a document says.

    Raises:
        pydantic.ValidationError: They do not fit.
    """
    from sightline.config.network import Network

    kind = task_declaration(task).network
    if isinstance(given, kind):
        return given
    return kind.model_validate(given.model_dump() if isinstance(given, Network) else given)
