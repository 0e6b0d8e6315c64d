"""The label schema of a training set: its keypoints and label sets, from the configuration and from COCO documents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

from sightline.config.data import Data
from sightline.config.labels import Keypoints, class_name
from sightline.data.formats.coco import CocoCategory, CocoDocument, CocoLabelSet

IndexPairs = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class KeypointSchema:
    """The keypoints of a dataset.

    Attributes:
        names: Names of the K keypoints.
        skeleton: Connected keypoints, by index from 0.
        flip_pairs: Keypoints that become each other in a mirrored image, by index from 0.
        sigmas: K sigmas for object keypoint similarity.
        uniform_sigmas: Whether the sigmas are the default, because none were configured.
    """

    names: tuple[str, ...]
    skeleton: IndexPairs
    flip_pairs: IndexPairs
    sigmas: tuple[float, ...]
    uniform_sigmas: bool


@dataclass(frozen=True, slots=True)
class LabelSetSchema:
    """A label set of a dataset.

    Attributes:
        name: Its name.
        category_ids: COCO ids of its classes.
        classes: Their names within the label set.
        multiple: Whether an image has any number of the classes, or exactly one.
    """

    name: str
    category_ids: tuple[int, ...]
    classes: tuple[str, ...]
    multiple: bool


class DocumentLabelSets(TypedDict, total=False):
    """The part of a COCO document with the label sets; empty if there are none."""

    label_sets: list[CocoLabelSet]


def keypoint_schema(document: CocoDocument) -> KeypointSchema | None:
    """The keypoints of a training set; None if it has none.

    Every class has the same keypoints.
    """
    first = next((category for category in document["categories"] if category.get("keypoints")), None)
    if first is None:
        return None
    return KeypointSchema(
        tuple(first["keypoints"]),
        _indices(first.get("skeleton", [])),
        _indices(first.get("flip_pairs", [])),
        tuple(first["sigmas"]),
        first.get("uniform_sigmas", False),
    )


def schema_of(keypoints: Keypoints) -> KeypointSchema | None:
    """The keypoints of a section of the configuration; None if it has none."""
    if not keypoints.names:
        return None
    numbers = {name: number for number, name in enumerate(keypoints.names)}
    return KeypointSchema(
        keypoints.names,
        tuple((numbers[one], numbers[other]) for one, other in keypoints.skeleton),
        tuple((numbers[one], numbers[other]) for one, other in keypoints.flip_pairs),
        keypoints.complete_sigmas,
        not keypoints.sigmas,
    )


def label_sets(document: CocoDocument) -> tuple[LabelSetSchema, ...]:
    """The label sets of a training set; empty if its images are not classified."""
    names = {category["id"]: category["name"] for category in document["categories"]}
    several = len(document.get("label_sets", [])) > 1
    return tuple(
        LabelSetSchema(
            one["name"],
            tuple(one["category_ids"]),
            tuple(names[id_].removeprefix(f"{one['name']}/" if several else "") for id_ in one["category_ids"]),
            one["multiple"],
        )
        for one in document.get("label_sets", [])
    )


def categories_of(data: Data) -> list[CocoCategory]:
    """The categories of a training set with these classes and keypoints."""
    keypoints = data.keypoints
    categories: list[CocoCategory] = [{"id": number, "name": name} for number, name in enumerate(data.classes, start=1)]
    if keypoints.names:
        numbers = {name: number for number, name in enumerate(keypoints.names, start=1)}
        for category in categories:
            category["supercategory"] = keypoints.supercategory
            category["keypoints"] = list(keypoints.names)
            category["skeleton"] = [[numbers[one], numbers[other]] for one, other in keypoints.skeleton]
            category["flip_pairs"] = [[numbers[one], numbers[other]] for one, other in keypoints.flip_pairs]
            category["sigmas"] = list(keypoints.complete_sigmas)
            category["uniform_sigmas"] = not keypoints.sigmas
    return categories


def label_sets_of(data: Data) -> DocumentLabelSets:
    """The label sets of a training set with this configuration."""
    if not data.label_sets:
        return {}
    ids = {name: number for number, name in enumerate(data.classes, start=1)}
    return {
        "label_sets": [
            {
                "name": name,
                "category_ids": [ids[class_name(name, one, data.label_sets)] for one in labels.classes],
                "multiple": labels.multiple,
            }
            for name, labels in data.label_sets.items()
        ]
    }


def _indices(pairs: list[list[int]]) -> IndexPairs:
    return tuple((one - 1, other - 1) for one, other in pairs)
