"""The schema of the configuration: immutable and typed.  The meaning of each field is documented only here."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SerializeAsAny,
    ValidationInfo,
    field_validator,
    model_validator,
)

from sightline.config.augmentation import require_classes
from sightline.config.network import Network
from sightline.config.section import Address, Fraction, KnownName, PositiveFloat, PositiveInt, Section
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
from sightline.url_secrets import holds_secret


def _without_token(url: str) -> str:
    if holds_secret(url):
        raise ValueError("a URL without a password or token; set SIGHTLINE_GIT_TOKEN in the environment instead")
    return url


DEFAULT_MINIMUM = 0.05
"""Minimum for a first champion by each metric that ``evaluate.minimum`` does not contain."""


def _fractions(value: object) -> object:
    """Reject values other than a fraction or a mapping to fractions, with one message."""
    numbers = list(value.values()) if isinstance(value, dict) else [value]
    if not all(isinstance(one, int | float) and not isinstance(one, bool) and 0 <= one <= 1 for one in numbers):
        raise ValueError("a number from 0 to 1, or one for each metric, such as {mask_AP: 0.1, EIR: 0.02}")
    return value


GitAddress = Annotated[str, AfterValidator(_without_token)]
Name = Annotated[str, Field(min_length=1, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Policy = Literal["error", "drop"]
FaultPolicy = Literal["error", "drop", "clip"]
EmbeddedPolicy = Literal["error", "drop", "embedded"]


class Splits(Section):
    """Fractions of the images in each split; they must sum to 1."""

    train: Fraction = Field(0.7, description="Fraction of the images used for training")
    val: Fraction = Field(
        0.15, description="Fraction of the images used to select the best checkpoint and the champion"
    )
    test: Fraction = Field(0.15, description="Fraction of the images held out for the final test")

    @model_validator(mode="after")
    def _sum_to_one(self) -> Splits:
        total = self.train + self.val + self.test
        if abs(total - 1.0) > 1e-6:
            raise ValueError(f"train, val and test must sum to 1, but they sum to {total:g}")
        return self


class Faults(Section):
    """What record does with each kind of fault in the annotations.

    ``error`` stops record after all faults are listed; ``drop`` leaves out the shape (or the image, if the fault
    concerns the whole file), and the number of objects lost this way is reported for each class; ``clip`` cuts
    coordinates at the image's border; ``embedded`` uses the image that is embedded in the JSON file, as labelme does.
    """

    unknown_label: Policy = Field("error", description="A label that is not a class, an ignored label or an alias")
    outside_image: FaultPolicy = Field("clip", description="A shape that extends beyond the image")
    not_finite: Policy = Field("error", description="A coordinate that is not a finite number")
    zero_area: Policy = Field("drop", description="A shape that covers no pixels")
    duplicate_shape: Policy = Field("drop", description="A shape that appears twice in the file")
    unsupported_shape: Policy = Field("drop", description="A shape type without an area, such as a line or a point")
    unknown_shape: Policy = Field("error", description="An unknown shape type, such as cuboid")
    wrong_image_size: Policy = Field("error", description="A JSON file with an image size other than that of the image")
    missing_image: Policy = Field(
        "error", description="An image that is neither next to the JSON file nor embedded in it"
    )
    embedded_differs: EmbeddedPolicy = Field(
        "embedded", description="An embedded image that differs from the image file next to it"
    )
    broken_image: Policy = Field("error", description="An image that cannot be decoded")
    broken_json: Policy = Field("error", description="A file that is not labelme JSON")
    unsafe_path: Policy = Field(
        "error", description="A path that leads outside the folder, or a name that is not UTF-8"
    )
    duplicate_image: Policy = Field("error", description="An image annotated by several files")


class Data(Section):
    """The dataset, and how record turns it into a training set."""

    tag: str = Field("", description="Annotation tag: <dataset>_ann_<version>")
    repository: GitAddress = Field(description="Git URL or path of the data repository")
    classes: tuple[str, ...] = Field(
        min_length=1, max_length=10_000, description="Class names; category ids are 1, 2, ... in this order"
    )
    ignored_labels: tuple[str, ...] = Field((), description="Labels to leave out, such as __ignore__")
    aliases: dict[str, str] = Field(
        {},
        description="Label, or regular expression that matches whole labels -> class or ignored label",
    )
    splits: Splits = Splits()
    group_pattern: str = Field(
        "",
        description="Regular expression searched in an image's path; its first capture group is the image's group",
    )
    near_duplicates: bool = Field(
        True,
        description="Whether images that look alike stay in the same split; if not, only identical files and groups do",
    )
    near_duplicate_distance: Annotated[int, Field(ge=0, le=64)] = Field(
        8, description="Maximum number of differing bits between the 64-bit perceptual hashes of images that look alike"
    )
    max_pixels: PositiveInt = Field(50_000_000, description="Maximum number of pixels of an image")
    faults: Faults = Faults()
    jobs: PositiveInt = Field(
        2, description="Number of processes that fetch objects or read images, and of parallel DVC transfers"
    )
    timeout_seconds: PositiveFloat = Field(3600.0, description="Time limit for one git or DVC command")

    @field_validator("group_pattern")
    @classmethod
    def _has_a_group(cls, pattern: str) -> str:
        try:
            groups = re.compile(pattern).groups
        except re.error as error:
            raise ValueError(f"a regular expression, but {error}") from error
        if pattern and not groups:
            raise ValueError("a regular expression with a group in parentheses, such as (lot[0-9]+)_")
        return pattern

    @field_validator("classes")
    @classmethod
    def _unique(cls, classes: tuple[str, ...]) -> tuple[str, ...]:
        twice = sorted({name for name in classes if classes.count(name) > 1})
        if twice:
            raise ValueError(f"every class once, but {', '.join(twice)} is listed twice")
        if any(not name.strip() or name != name.strip() for name in classes):
            raise ValueError("class names without leading or trailing spaces")
        return classes

    @field_validator("aliases")
    @classmethod
    def _matches(cls, aliases: dict[str, str]) -> dict[str, str]:
        for pattern in aliases:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(
                    f"labels or regular expressions, but {pattern!r} is neither ({error}); escape special characters "
                    "with a backslash"
                ) from error
        return aliases

    @field_validator("aliases")
    @classmethod
    def _lead_to_labels(cls, aliases: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        classes, ignored = info.data.get("classes", ()), info.data.get("ignored_labels", ())
        for alias, target in aliases.items():
            if alias in classes or alias in ignored:
                kind = "a class" if alias in classes else "an ignored label"
                raise ValueError(
                    f"aliases of other labels, but {alias!r} is {kind} itself; remove it from one of the two"
                )
            if "classes" in info.data and target not in classes and target not in ignored:
                chained = f", itself an alias of {aliases[target]!r}" if target in aliases else ""
                raise ValueError(
                    f"aliases of classes or ignored labels, but {alias!r} leads to {target!r}{chained}; add that to "
                    "data.classes or data.ignored_labels, or correct the alias"
                )
        return aliases


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
    score_threshold: Fraction = Field(0.5, description="Minimum score of predictions to draw and read")
    drawn_images: Annotated[int, Field(ge=0)] = Field(12, description="Number of images of the val split to draw")

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


def _default_network(given: dict[str, Any]) -> Network:
    """The network of the configured task, with default settings."""
    return task_declaration(given.get("task", DEFAULT_TASK)).network()


class Config(Section):
    """The configuration of a run.  With its data and code, it determines what the run does."""

    recipe: Name = Field(description="Name of the recipe, given by --recipe")
    task: Annotated[str, KnownName("task", task_names)] = Field(DEFAULT_TASK, description="What the network predicts")
    reading: Annotated[str, KnownName("reading", lambda: ["none", *reading_names()])] = Field(
        "none", description="Reader of structured results in the predictions; must be one that the task supports"
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
        return train

    @field_validator("reading")
    @classmethod
    def _reading_of_the_task(cls, reading: str, info: ValidationInfo) -> str:
        known = ["none", *task_declaration(info.data["task"]).readings] if "task" in info.data else [reading]
        return KnownName(f"reading of the task {info.data.get('task')}", lambda: known).require(reading)

    @field_validator("model", mode="before")
    @classmethod
    def _network_of_the_task(cls, given: object, info: ValidationInfo) -> Network:
        if "task" not in info.data:  # the task has a fault of its own, and the network cannot be checked without it
            return Network()
        return as_the_task_has_it(info.data["task"], given)
