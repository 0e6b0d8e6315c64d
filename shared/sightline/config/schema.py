"""The schema of the configuration: immutable and typed.  The meaning of each field is documented only here."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    SerializeAsAny,
    ValidationInfo,
    field_validator,
    model_validator,
)

from sightline.config.augmentation import require_classes, require_image_labels
from sightline.config.data import Data
from sightline.config.gate import Gate
from sightline.config.labels import SINGLE_SET, LabelSet
from sightline.config.network import Network
from sightline.config.section import Address, Fraction, KnownName, PositiveFloat, Section
from sightline.config.task_declarations import (
    DEFAULT_TASK,
    as_the_task_has_it,
    chosen_metrics,
    reading_names,
    task_declaration,
    task_names,
)
from sightline.config.tracking import Tracking
from sightline.config.train import Train
from sightline.names import is_own_code
from sightline.url_secrets import holds_secret

DEFAULT_MINIMUM = 0.05
"""Minimum for a first champion by each metric that ``evaluate.minimum`` does not contain."""


def _fractions(value: object) -> object:
    """Reject values other than a fraction or a mapping to fractions, with one message."""
    numbers = list(value.values()) if isinstance(value, dict) else [value]
    if not all(isinstance(one, int | float) and not isinstance(one, bool) and 0 <= one <= 1 for one in numbers):
        raise ValueError("a number from 0 to 1, or one for each metric, such as {mask_AP: 0.1, EIR: 0.02}")
    return value


Name = Annotated[str, Field(min_length=1, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]

_OWN_READER = "module:Class"
"""How a recipe names a reader of its own."""


class Evaluate(Section):
    """How models are selected."""

    select_by: tuple[str, ...] = Field(
        ("mask_AP",),
        min_length=1,
        description="Metrics to select models by, one model for each; the default depends on the task",
    )
    min_improvement: Annotated[float, Field(ge=0.0)] = Field(
        0.0, description="Minimum improvement over the champion that is required to replace it"
    )
    minimum: Annotated[float | dict[str, float], BeforeValidator(_fractions)] = Field(
        DEFAULT_MINIMUM,
        description="Minimum score to become the first champion: one number, or one per metric",
    )
    replace_unreadable: bool = Field(
        False, description="Whether to replace a champion that cannot be evaluated (lost, damaged, different classes)"
    )
    gate: Gate = Gate()
    evaluator: Literal["hotcoco", "pycocotools"] = Field(
        "hotcoco",
        description="Implementation of COCO's metrics; pycocotools is the reference, gives equal numbers and is slow",
    )
    score_threshold: Fraction = Field(0.5, description="Minimum score of predictions to draw and read")
    drawn_images: Annotated[int, Field(ge=0)] = Field(12, description="Number of images of the val split to draw")
    attributes: Address = Field(
        "",
        description=(
            "CSV file with attributes of images, such as weather; each value is a slice. A URI, or a path in the data"
            " repository; its first column is the path of the image"
        ),
    )
    metrics: tuple[str, ...] = Field(
        (), description="Metrics of your own, functions of truth and predictions as `module:function`"
    )

    @field_validator("metrics")
    @classmethod
    def _functions(cls, metrics: tuple[str, ...]) -> tuple[str, ...]:
        for name in metrics:
            if not is_own_code(name):
                raise ValueError(f"functions as module:function, such as plate_metrics:plate_recall, but got {name!r}")
        return metrics

    def minimum_of(self, metric: str) -> float:
        """The minimum score by ``metric`` to become the first champion."""
        return self.minimum.get(metric, DEFAULT_MINIMUM) if isinstance(self.minimum, dict) else self.minimum


class Test(Section):
    """The final test of the selected models."""

    images: Address = Field("", description="Folder or URI of unlabeled images to run the models on as well")
    score_threshold: Fraction = Field(0.5, description="Minimum score of predictions to draw and read")


class Storage(Section):
    """The result bucket."""

    uri: Address = Field(description="Path, file:// or gs:// URI of the bucket")


class Database(Section):
    """The database of versions, runs and models.  Its password is read from SIGHTLINE_DATABASE_PASSWORD."""

    url: str = Field(description="SQLAlchemy URL without a password")

    @field_validator("url")
    @classmethod
    def _no_password(cls, url: str) -> str:
        if holds_secret(url):
            raise ValueError("a URL without a password; set SIGHTLINE_DATABASE_PASSWORD in the environment instead")
        return url


class Work(Section):
    """The work volume of the steps: checkouts, checkpoints, logs, run pages."""

    dir: str = Field(min_length=1, description="Folder for work files; it must persist between runs")
    lock_timeout_seconds: PositiveFloat = Field(
        21_600.0, description="Maximum wait for another process that works on the same data, training or result"
    )


def as_the_task_needs(data: Data, task: str) -> Data:
    """The section ``data`` with the labels that a task needs.

    Args:
        data: The section; with a single criterion of classification, ``data.classes`` become its label set.
        task: One of :func:`task_names`.

    Raises:
        ValueError: It describes other labels than the task needs.
    """
    needs = task_declaration(task).needs
    if needs == "keypoints" and not data.keypoints.names:
        raise ValueError("keypoints for this task: set data.keypoints.names, such as [nose, left_eye, right_eye]")
    if needs != "image_labels" and data.label_sets:
        raise ValueError(f"no data.label_sets, because {task} does not classify images; set data.classes")
    if needs == "image_labels" and not data.label_sets:
        return data.model_copy(update={"label_sets": {SINGLE_SET: LabelSet(classes=data.classes)}})
    return data


def _default_network(given: dict[str, Any]) -> Network:
    """The network of the configured task, with default settings."""
    return task_declaration(given.get("task", DEFAULT_TASK)).network()


class Config(Section):
    """The configuration of a run.  With its data and code, it determines what the run does."""

    recipe: Name = Field(description="Name of the recipe, given by --recipe")
    task: Annotated[str, KnownName("task", task_names)] = Field(DEFAULT_TASK, description="What the network predicts")
    reading: Annotated[str, KnownName("reading", lambda: ["none", *reading_names()], _OWN_READER)] = Field(
        "none",
        description="Reader of structured results in the predictions; must be one that the task supports, or your own",
    )
    seed: Annotated[int, Field(ge=0, lt=2**32)] = Field(0, description="Seed for weights, order and augmentation")
    data: Data
    model: SerializeAsAny[Network] = Field(default_factory=_default_network, description="Network settings of the task")
    train: Train = Train()
    evaluate: Evaluate = Evaluate()
    test: Test = Test()
    tracking: Tracking = Tracking()
    storage: Storage
    database: Database
    work: Work

    @model_validator(mode="before")
    @classmethod
    def _metrics_of_the_task(cls, given: object) -> object:
        """Use the main metric of the task if no metric is set."""
        task = given.get("task", DEFAULT_TASK) if isinstance(given, dict) else None
        if not isinstance(given, dict) or task not in task_names():
            return given
        filled: dict[str, object] = dict(given)
        for section, choice in chosen_metrics(task).items():
            named = filled.get(section, {})
            filled[section] = {**choice, **named} if isinstance(named, dict) else named
        return filled

    @field_validator("train")
    @classmethod
    def _classes_of_the_augmentation(cls, train: Train, info: ValidationInfo) -> Train:
        if "data" in info.data:
            require_classes(train.augmentation, info.data["data"].classes)
            require_image_labels(train.augmentation, classified=bool(info.data["data"].label_sets))
        return train

    @field_validator("data")
    @classmethod
    def _labels_of_the_task(cls, data: Data, info: ValidationInfo) -> Data:
        return as_the_task_needs(data, info.data["task"]) if "task" in info.data else data

    @field_validator("reading")
    @classmethod
    def _reading_of_the_task(cls, reading: str, info: ValidationInfo) -> str:
        if "task" not in info.data:
            return reading
        declared = task_declaration(info.data["task"])
        own = "" if declared.own_reading is None else _OWN_READER
        noun = f"reading of the task {info.data['task']}"
        return KnownName(noun, lambda: ["none", *declared.readings], own).require(reading)

    @field_validator("model", mode="before")
    @classmethod
    def _network_of_the_task(cls, given: object, info: ValidationInfo) -> Network:
        if "task" not in info.data:  # the task has a fault of its own, and the network cannot be checked without it
            return Network()
        return as_the_task_has_it(info.data["task"], given)
