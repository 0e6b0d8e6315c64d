"""Suspected wrong labels of whole images, by confident learning (Northcutt et al., 2021, arXiv 1911.00068)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from sightline.data.formats.coco import CocoDocument
from sightline.data.label_schema import LabelSetSchema, label_sets
from sightline.metrics.label_errors import Suspect, ranked
from sightline.metrics.operating_points import Bools, Floats
from sightline.tasks.classification.prediction import Classification
from sightline.tasks.classification.truth import LabelSetResults, results_of

_DEFAULT = 0.5
"""The threshold of a class that no image has, or every image."""


def classification_suspects(truth: CocoDocument, predictions: Sequence[Classification]) -> list[Suspect]:
    """Labels of images that confident predictions contradict, the most suspicious first.

    A class is confident from the mean probability on that images with this label get.  Where exactly one class applies,
    the label is suspicious if another confident class is more probable; where any number does, if a confident class is
    not among the labels (``missing``), or if a label is less probable than the class is on images without it
    (``spurious``).  An image without a label gets its most probable class as ``missing``.

    Args:
        truth: One split.
        predictions: One per image.

    Raises:
        DataError: The split has no label sets, or predictions are missing or lack classes.
    """
    found = [
        suspect
        for one in results_of(truth, predictions)
        for suspect in (_multiple(one) if one.schema.multiple else _single(one))
    ]
    return ranked([*found, *_unlabelled(truth, predictions)])


def _single(results: LabelSetResults) -> Iterator[Suspect]:
    thresholds, ids = _confidences(results), results.schema.category_ids
    labels = results.truth.argmax(axis=1)
    confident = np.where(results.probabilities >= thresholds, results.probabilities, -1.0)
    for row, label in enumerate(labels.tolist()):
        other = int(confident[row].argmax())
        own, sure = results.probabilities[row, label], confident[row, other]
        if other != label and sure > own:
            score = float(sure * (1.0 - own))
            yield Suspect(int(results.image_ids[row]), "wrong class", score, ids[label], ids[other])


def _multiple(results: LabelSetResults) -> Iterator[Suspect]:
    thresholds, ids = _confidences(results), results.schema.category_ids
    absent = np.minimum(_means(results.probabilities, ~results.truth), _DEFAULT)
    for row, column in np.argwhere(~results.truth & (results.probabilities >= thresholds)).tolist():
        score = float(results.probabilities[row, column])
        yield Suspect(int(results.image_ids[row]), "missing", score, None, ids[column])
    for row, column in np.argwhere(results.truth & (results.probabilities <= absent)).tolist():
        score = 1.0 - float(results.probabilities[row, column])
        yield Suspect(int(results.image_ids[row]), "spurious", score, ids[column])


def _confidences(results: LabelSetResults) -> Floats:
    """[C], the probability from which on a class is confident."""
    means = _means(results.probabilities, results.truth)
    if not results.schema.multiple:
        return means
    chosen = np.where(np.isnan(results.thresholds), _DEFAULT, results.thresholds)
    return np.maximum(means, chosen)


def _means(probabilities: Floats, counted: Bools) -> Floats:
    """[C], the mean probability over the images that count for a class."""
    numbers = counted.sum(axis=0)
    sums = np.where(counted, probabilities, 0.0).sum(axis=0)
    return np.asarray(np.divide(sums, numbers, out=np.full(len(numbers), _DEFAULT), where=numbers > 0))


def _unlabelled(truth: CocoDocument, predictions: Sequence[Classification]) -> Iterator[Suspect]:
    """The most probable class of images without a label of a set that needs one."""
    by_image = {one.image_id: one for one in predictions}
    for schema in label_sets(truth):
        for image in truth["images"] if not schema.multiple else ():
            if not set(image.get("labels", ())) & set(schema.category_ids):
                yield from _most_probable(image["id"], by_image[image["id"]], schema)


def _most_probable(image_id: int, prediction: Classification, schema: LabelSetSchema) -> Iterator[Suspect]:
    probabilities = {
        int(id_): float(value)
        for one in prediction.label_sets
        for id_, value in zip(one.category_ids, one.probabilities, strict=True)
        if int(id_) in schema.category_ids
    }
    if probabilities:
        best = max(probabilities, key=lambda id_: (probabilities[id_], -id_))
        yield Suspect(image_id, "missing", probabilities[best], None, best)
