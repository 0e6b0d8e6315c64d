"""Truth and predictions of one label set as arrays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sightline.data.formats.coco import CocoDocument
from sightline.data.label_schema import LabelSetSchema, label_sets
from sightline.errors import DataError
from sightline.metrics.operating_points import Bools, Floats, best_threshold, decide
from sightline.tasks.classification.prediction import Classification

_HIGHEST = 1.0 + 1e-5
"""The highest probability; rounding may exceed 1 by a millionth."""


@dataclass(frozen=True, slots=True)
class LabelSetResults:
    """Truth and predictions of one label set.

    Attributes:
        schema: The label set.
        image_ids: int64 [N], ids of the images with a truth: of a label set with one class per image, those that have
            one, which are all unless classes were left out.
        truth: [N, C], whether a class applies.
        probabilities: float64 [N, C].
        thresholds: float64 [C], operating thresholds; NaN: none.
    """

    schema: LabelSetSchema
    image_ids: npt.NDArray[np.int64]
    truth: Bools
    probabilities: Floats
    thresholds: Floats

    @property
    def decisions(self) -> Bools:
        """[N, C], which classes the model takes to apply."""
        return decide(self.probabilities, self.thresholds, multiple=self.schema.multiple)

    @property
    def right(self) -> Bools:
        """[N], whether the decisions on an image are right."""
        return np.asarray((self.decisions == self.truth).all(axis=1))

    def best_thresholds(self) -> Floats:
        """The thresholds with the highest F1: of each class if any number applies, of the second class of two."""
        chosen = np.full(self.truth.shape[1], np.nan)
        count = self.truth.shape[1]
        second = range(1, count) if count == 2 else range(0)
        for column in range(count) if self.schema.multiple else second:
            if len(self.truth):
                chosen[column] = best_threshold(self.truth[:, column], self.probabilities[:, column])
        return chosen


def results_of(truth: CocoDocument, predictions: Sequence[Classification]) -> Iterator[LabelSetResults]:
    """Truth and predictions by label set.

    Raises:
        DataError: The training set has no label sets; predictions are missing, lack classes, or are for other images;
            or probabilities are outside 0 to 1.
    """
    schemas = label_sets(truth)
    if not schemas:
        raise DataError("the training set has no label sets; record it again with the task classification")
    by_image = {found.image_id: found for found in predictions}
    missing = [image["file_name"] for image in truth["images"] if image["id"] not in by_image]
    if missing:
        raise DataError(f"{len(missing)} images have no prediction, such as {missing[0]}; predict on all images")
    _check(truth, predictions)
    rows = {id_: _by_category(found) for id_, found in by_image.items()}
    for schema in schemas:
        labels = {image["id"]: set(image.get("labels", ())) & set(schema.category_ids) for image in truth["images"]}
        used = [id_ for id_, applying in labels.items() if applying or schema.multiple]
        shape = (len(used), len(schema.category_ids))
        yield LabelSetResults(
            schema,
            np.array(used, np.int64),
            np.array([[one in labels[id_] for one in schema.category_ids] for id_ in used], bool).reshape(shape),
            np.array([_values(rows[id_], schema, 0) for id_ in used], np.float64).reshape(shape),
            np.array(_values(rows[used[0]], schema, 1) if used else [np.nan] * shape[1], np.float64),
        )


def _check(truth: CocoDocument, predictions: Sequence[Classification]) -> None:
    """Reject predictions that do not belong to the images, or that no network can make."""
    names = {image["id"]: image["file_name"] for image in truth["images"]}
    for id_, number in Counter(found.image_id for found in predictions).items():
        if id_ not in names or number > 1:
            fault = "has no such image" if id_ not in names else f"has it once, but there are {number} predictions"
            raise DataError(f"prediction for image {id_}: the split {fault}; predict on the images of this split")
    for found in predictions:
        for one in found.label_sets:
            if not bool(np.all((one.probabilities >= 0.0) & (one.probabilities <= _HIGHEST))):
                raise DataError(
                    f"prediction for {names[found.image_id]}: probabilities are outside 0 to 1; the model is broken, "
                    "train it again"
                )


def _by_category(found: Classification) -> dict[int, tuple[float, float]]:
    """Category id -> probability and operating threshold."""
    return {
        int(id_): (float(probability), float(threshold))
        for one in found.label_sets
        for id_, probability, threshold in zip(one.category_ids, one.probabilities, one.thresholds, strict=True)
    }


def _values(row: Mapping[int, tuple[float, float]], schema: LabelSetSchema, place: int) -> list[float]:
    try:
        return [row[id_][place] for id_ in schema.category_ids]
    except KeyError as error:
        raise DataError(
            f"a prediction lacks the category {error} of the label set {schema.name}; use a model with the classes of "
            "the training set"
        ) from error
