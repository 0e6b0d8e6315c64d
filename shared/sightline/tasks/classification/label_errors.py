"""Suspected wrong labels of whole images, by confident learning (Northcutt et al., 2021, arXiv 1911.00068)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

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
    as many images are suspicious as :func:`expected_errors` expects, those to which another class fits best compared
    with the label.  Where any number does, a confident class that is not among the labels is ``missing``, and a label
    that is less probable than the class is on images without it is ``spurious``.  An image without a label gets its
    most probable class as ``missing``.

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
    ids, labels = results.schema.category_ids, results.truth.argmax(axis=1)
    expected = expected_errors(labels, results.probabilities)
    for label in range(len(ids)):
        rows = np.flatnonzero(labels == label)
        for other in range(len(ids)):
            margins = results.probabilities[rows, other] - results.probabilities[rows, label]
            best = np.argsort(-margins, kind="stable")[: expected[label, other]]
            for row in rows[best[margins[best] > 0]].tolist():
                score = float(results.probabilities[row, other] * (1.0 - results.probabilities[row, label]))
                yield Suspect(int(results.image_ids[row]), "wrong class", score, ids[label], ids[other])


def expected_errors(labels: npt.NDArray[np.intp], probabilities: Floats) -> npt.NDArray[np.int64]:
    """How many images with a label are expected to be of another class, by the calibrated confident joint.

    Images are counted by their label and their most probable confident class; these counts are scaled up to all images
    with the label, because most of them are not confident for any class.

    Args:
        labels: [N], columns of the labels.
        probabilities: [N, C].

    Returns:
        [C, C], rows are the labels; 0 on the diagonal.

    Example:
        Of three images labeled 0, two are confident, one of them for the class 1, so 1.5 of the three are expected
        to be wrong, rounded to 2:

        >>> sure = np.array([[0.9, 0.1], [0.1, 0.9], [0.4, 0.6], [0.2, 0.8]])
        >>> expected_errors(np.array([0, 0, 0, 1]), sure).tolist()
        [[0, 2], [0, 0]]
    """
    count = probabilities.shape[1]
    thresholds = _means(probabilities, labels[:, None] == np.arange(count))
    confident = np.where(probabilities >= thresholds, probabilities, -1.0)
    sure = np.flatnonzero(confident.max(axis=1, initial=-1.0) >= 0)
    joint = np.zeros((count, count))
    np.add.at(joint, (labels[sure], confident[sure].argmax(axis=1)), 1.0)
    totals = joint.sum(axis=1, keepdims=True)
    numbers = np.bincount(labels, minlength=count)[:, None]
    scaled = np.divide(joint * numbers, totals, out=np.zeros_like(joint), where=totals > 0)
    np.fill_diagonal(scaled, 0.0)
    expected: npt.NDArray[np.int64] = np.rint(scaled).astype(np.int64)
    return expected


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
