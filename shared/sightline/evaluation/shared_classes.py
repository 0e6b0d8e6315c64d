"""The classes, by name, that a model and a dataset have in common and can be compared on."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from sightline.data.formats.coco import CocoDocument, CocoLabelSet
from sightline.tasks.base import Prediction

SHOWN_NAMES = 20


@dataclass(frozen=True, slots=True)
class SharedClasses:
    """The classes of a model compared with those of a dataset.

    Attributes:
        names: Classes of both, in the dataset's order.
        added: Classes of the dataset that the model does not have.
        removed: Classes of the model that the dataset does not have.
        ids: Category id of the model -> category id of the dataset, for the shared classes.
    """

    names: tuple[str, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    ids: dict[int, int]

    @property
    def complete(self) -> bool:
        """Whether both have the same classes, in any order."""
        return not self.added and not self.removed

    @property
    def difference(self) -> str:
        """The classes that only one of them has, as a clause; empty if there are none."""
        parts = [("added", self.added), ("removed", self.removed)]
        return "; ".join(f"{word}: {listed(names)}" for word, names in parts if names)

    def translated(self, predictions: Iterable[Prediction]) -> list[Prediction]:
        """The model's predictions of shared classes, with the category ids of the dataset."""
        return [prediction.of_classes(self.ids) for prediction in predictions]

    def restricted(self, predictions: Iterable[Prediction]) -> list[Prediction]:
        """Predictions of shared classes only; the category ids are already those of the dataset."""
        kept = {id_: id_ for id_ in self.ids.values()}
        return [prediction.of_classes(kept) for prediction in predictions]

    def truth(self, document: CocoDocument) -> CocoDocument:
        """A split of the dataset, restricted to the shared classes."""
        if self.complete:
            return document
        kept = set(self.ids.values())
        restricted: CocoDocument = {
            **document,
            "annotations": [entry for entry in document["annotations"] if entry["category_id"] in kept],
            "categories": [entry for entry in document["categories"] if entry["id"] in kept],
        }
        if document.get("label_sets"):
            restricted["images"] = [
                {**image, "labels": [id_ for id_ in image["labels"] if id_ in kept]} for image in document["images"]
            ]
            restricted["label_sets"] = _shared_label_sets(document["label_sets"], kept)
        return restricted


def _shared_label_sets(label_sets: Iterable[CocoLabelSet], kept: Collection[int]) -> list[CocoLabelSet]:
    """Label sets with only these categories; those without any are left out."""
    shared: list[CocoLabelSet] = [
        {**one, "category_ids": [id_ for id_ in one["category_ids"] if id_ in kept]} for one in label_sets
    ]
    return [one for one in shared if one["category_ids"]]


def shared_classes(model_classes: Sequence[str], model_ids: Sequence[int], document: CocoDocument) -> SharedClasses:
    """Match the classes of a model with those of a split, by name.

    Args:
        model_classes: Class names of the model.
        model_ids: Category ids of the model, in the same order.
        document: One split of the dataset.
    """
    of_model = dict(zip(model_classes, model_ids, strict=True))
    of_data = {entry["name"]: entry["id"] for entry in sorted(document["categories"], key=lambda entry: entry["id"])}
    return SharedClasses(
        names=tuple(name for name in of_data if name in of_model),
        added=tuple(name for name in of_data if name not in of_model),
        removed=tuple(name for name in of_model if name not in of_data),
        ids={of_model[name]: id_ for name, id_ in of_data.items() if name in of_model},
    )


def listed(names: Sequence[str]) -> str:
    """The first names as text, with the number of others."""
    more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
    return ", ".join(names[:SHOWN_NAMES]) + more
