"""The section ``data`` of the configuration: the dataset, and how record turns it into a training set."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    Field,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from sightline.config.labels import Keypoints, LabelSets, class_names, distinct
from sightline.config.section import Fraction, KnownName, PositiveFloat, PositiveInt, Section
from sightline.url_secrets import holds_secret

AUTO_FORMAT = "auto"
FORMAT_NAMES = ("labelme", "folders", "csv", "coco", "yolo")
"""The formats of annotations; each is a module or package of :mod:`sightline.data.formats`."""


def _without_token(url: str) -> str:
    if holds_secret(url):
        raise ValueError("a URL without a password or token; set SIGHTLINE_GIT_TOKEN in the environment instead")
    return url


GitAddress = Annotated[str, AfterValidator(_without_token)]
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
    concerns the whole file or image), and the number of objects lost this way is reported for each class; ``clip`` cuts
    coordinates at the image's border; ``embedded`` uses the image that is embedded in the JSON file, as labelme does.
    """

    unknown_label: Policy = Field("error", description="A label that is not a class, an ignored label or an alias")
    outside_image: FaultPolicy = Field("clip", description="A shape that extends beyond the image")
    not_finite: Policy = Field("error", description="A coordinate that is not a finite number")
    zero_area: Policy = Field("drop", description="A shape that covers no pixels")
    duplicate_shape: Policy = Field("drop", description="A shape that appears twice in the file")
    unsupported_shape: Policy = Field("drop", description="A shape type without an area, such as a line or a point")
    unknown_shape: Policy = Field("error", description="An unknown shape type, such as cuboid")
    wrong_image_size: Policy = Field("error", description="Annotations with an image size other than that of the image")
    missing_image: Policy = Field("error", description="An image that does not exist, nor is embedded in the JSON file")
    embedded_differs: EmbeddedPolicy = Field(
        "embedded", description="An embedded image that differs from the image file next to it"
    )
    broken_image: Policy = Field("error", description="An image that cannot be decoded")
    broken_json: Policy = Field("error", description="A file that is not JSON of labelme or COCO")
    unsafe_path: Policy = Field(
        "error", description="A path that leads outside the folder, or a name that is not UTF-8"
    )
    duplicate_image: Policy = Field("error", description="An image annotated by several files")
    missing_label: Policy = Field("error", description="An image without a label of one of the label sets")
    several_labels: Policy = Field(
        "error", description="An image with several labels of a label set that allows only one"
    )
    bad_keypoint: Policy = Field(
        "error", description="A keypoint that is unknown, appears twice, has no object, or is far from its object"
    )
    crowd: Policy = Field("drop", description="An annotation of COCO that marks a crowd instead of one object")
    broken_row: Policy = Field("error", description="A line or entry of an annotation file that cannot be used")


class Columns(Section):
    """The columns of a CSV file with labels of images; those of labels are in ``data.label_sets``."""

    path: str = Field("path", min_length=1, description="Column with the path of the image, relative to the CSV file")
    group: str = Field("", description="Column with the group of the image, such as person; empty: none")
    split: str = Field("", description="Column with the split of the image: train, val or test; empty: none")


class Data(Section):
    """The dataset, and how record turns it into a training set."""

    tag: str = Field("", description="Annotation tag: <dataset>_ann_<version>")
    repository: GitAddress = Field(description="Git URL or path of the data repository")
    format: Annotated[str, KnownName("format", lambda: (AUTO_FORMAT, *FORMAT_NAMES))] = Field(
        AUTO_FORMAT, description="Format of the annotations; auto: recognized by the files"
    )
    classes: tuple[str, ...] = Field(
        min_length=1,
        max_length=10_000,
        description="Class names; category ids are 1, 2, ... in this order; set by label_sets if these are given",
    )
    label_sets: LabelSets = Field(
        {},
        description="Label sets of images, for classification by several criteria: name -> classes, such as "
        "{mask: [with, without], age: [young, old]}; with a single criterion, set data.classes instead",
    )
    keypoints: Keypoints = Keypoints()
    columns: Columns = Columns()
    ignored_labels: tuple[str, ...] = Field((), description="Labels to leave out, such as __ignore__")
    aliases: dict[str, str] = Field(
        {},
        description="Label, or regular expression that matches whole labels -> class or ignored label",
    )
    splits: Splits = Splits()
    given_splits: bool = Field(
        True, description="Whether images keep the split that the annotations give them, such as a folder train or val"
    )
    folds: Annotated[int, Field(ge=0, le=100)] = Field(
        0, description="Number of folds that record divides train and val into, for cross-validation; 0: none"
    )
    fold: Annotated[int, Field(ge=0)] = Field(
        0,
        description="The fold that is the val split of this run, from 1, while all others are its train split; 0: the "
        "recorded splits.  Runs with a fold never change champions",
    )
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

    @model_validator(mode="before")
    @classmethod
    def _classes_of_label_sets(cls, given: object) -> object:
        if not isinstance(given, Mapping) or given.get("classes") or not given.get("label_sets"):
            return given
        try:
            label_sets = TypeAdapter(LabelSets).validate_python(given["label_sets"])
        except ValidationError:  # reported for label_sets itself
            return {**given, "classes": ("any",)}
        return {**given, "classes": class_names(label_sets)}

    @field_validator("label_sets")
    @classmethod
    def _fit_the_classes(cls, label_sets: LabelSets, info: ValidationInfo) -> LabelSets:
        names = class_names(label_sets)
        if label_sets and "classes" in info.data and info.data["classes"] not in (names, ("any",)):
            raise ValueError(
                f"label sets with the classes of data.classes ({', '.join(info.data['classes'])}); leave data.classes "
                "out, it is set by the label sets"
            )
        if any(not name.strip() or "/" in name for name in label_sets):
            raise ValueError("names of label sets without slash")
        return label_sets

    @model_validator(mode="after")
    def _fold_exists(self) -> Data:
        if self.folds == 1:
            raise ValueError("at least 2 data.folds, or 0 for none, but it is 1")
        if self.fold > self.folds:
            raise ValueError(f"data.fold to be at most data.folds, but it is {self.fold} of {self.folds}")
        return self

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
        return distinct(classes, "class")

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
