"""Metrics of keypoints: average precision by object keypoint similarity (OKS), PCK and errors.

OKS and average precision are those of COCO (https://cocodataset.org/#keypoints-eval), with the sigmas of the dataset.
As in COCO, an object without labeled keypoints is not to be found, and a detection on it is not an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from sightline.data.formats.coco import CocoDocument
from sightline.data.keypoint_detections import KeypointDetections
from sightline.data.label_schema import KeypointSchema, keypoint_schema
from sightline.errors import DataError
from sightline.metrics import coco_evaluator
from sightline.metrics.coco import check_detections, check_truth, mean_with_truth
from sightline.metrics.coco_evaluator import DEFAULT_EVALUATOR, CocoArrays, EvaluatorName, areas_of, coco_arrays
from sightline.metrics.keypoint_pairs import PCK_SHARE, Pair, best_pairs
from sightline.metrics.matches import Matches, match_detections

MAX_DETECTIONS = coco_evaluator.MAX_DETECTIONS["keypoint"][-1]
"""Maximum number of detections per class and image; those with the highest scores count, as in COCO."""


@dataclass(frozen=True, slots=True)
class KeypointErrors:
    """The errors of one keypoint over all true objects that it is labeled in.

    Attributes:
        count: Number of objects in which it is labeled.
        found: Number of these that a detection was paired with.
        pck: Share of ``count`` that was found within :data:`PCK_SHARE` of the diagonal of the object's box, 0 to 1.
        pixels: Mean distance over ``found``, pixels of the image; NaN if there are none.
        relative: Mean of the distance divided by the square root of the object's area; NaN if there are none.
    """

    count: int
    found: int
    pck: float
    pixels: float
    relative: float


@dataclass(frozen=True, slots=True)
class KeypointScores:
    """The metrics of keypoints on a split.

    Attributes:
        values: COCO's ten numbers: ``keypoint_AP`` (mean over OKS 0.50, 0.55, ... 0.95), ``keypoint_AP50``,
            ``keypoint_AP75``, ``keypoint_AR``, ``keypoint_AR50`` and ``keypoint_AR75`` (the highest recall), each the
            mean over the classes with truth, ``keypoint_AP_medium``, ``keypoint_AP_large``, ``keypoint_AR_medium`` and
            ``keypoint_AR_large`` if there is truth of that size; and ``keypoint_PCK``, over all labeled keypoints.
            Empty without truth.
        per_class: COCO's ten numbers for each class with truth.
        curves: Class name -> precision at recalls from 0 to 1, at OKS 0.5.
        keypoints: Name of the keypoint -> its errors.
        pairs: The detection paired with each true object.
        matches: The matches of detections with true objects; None without truth.
    """

    values: dict[str, float]
    per_class: dict[str, dict[str, float]] = field(default_factory=dict)
    curves: dict[str, list[float]] = field(default_factory=dict)
    keypoints: dict[str, KeypointErrors] = field(default_factory=dict)
    pairs: list[Pair] = field(default_factory=list)
    matches: Matches | None = None


def evaluate_keypoints(
    truth: CocoDocument, detections: Sequence[KeypointDetections], evaluator: EvaluatorName = DEFAULT_EVALUATOR
) -> KeypointScores:
    """Average precision, PCK and errors of ``detections`` against ``truth``.

    For PCK and errors, every true object is paired with at most one detection of its class in the image, pairs with the
    highest OKS first, among the :data:`MAX_DETECTIONS` detections with the highest scores.  The keypoints of an object
    without a pair are not found.

    Args:
        truth: One split; it is not changed.
        detections: At most one entry per image, in any order.
        evaluator: The implementation; all give the same numbers.

    Raises:
        DataError: The split has no keypoints, the detections have others, ids are 0 or duplicate, detections have an
            unknown image or class, or scores are outside 0 to 1.
    """
    schema = require_keypoints(truth)
    check_truth(truth)
    check_detections(truth, detections)
    for found in detections:
        if found.keypoints.shape != (len(found), len(schema.names), 3):
            raise DataError(
                f"detections of image {found.image_id} have keypoints {list(found.keypoints.shape)}; expected "
                f"{[len(found), len(schema.names), 3]}: the dataset has the keypoints {', '.join(schema.names)}; use a "
                "model with the same keypoints"
            )
        if not bool(np.all(np.isfinite(found.keypoints))):
            raise DataError(
                f"detections of image {found.image_id} have keypoints that are not finite; the model is broken, train "
                "it again"
            )
    names = {category["id"]: category["name"] for category in sorted(truth["categories"], key=lambda one: one["id"])}
    arrays = coco_arrays(truth, detections, "keypoint", schema.sigmas, evaluator)
    if not (arrays.precision > -1).any():
        return KeypointScores({})
    values = _summary(arrays, slice(None))
    per_class, curves = {}, {}
    for index, name in enumerate(names.values()):
        of_class = _summary(arrays, slice(index, index + 1))
        if of_class:
            per_class[name] = of_class
            curves[name] = arrays.precision[0, :, index, 0, -1].tolist()
    matches = match_detections(truth, detections, "keypoint", schema.sigmas)
    pairs = best_pairs(truth, detections, matches)
    errors = {name: _errors(pairs, index) for index, name in enumerate(schema.names)}
    labelled = sum(one.count for one in errors.values())
    values["keypoint_PCK"] = sum(one.pck * one.count for one in errors.values()) / labelled
    return KeypointScores(values, per_class, curves, errors, pairs, matches)


def require_keypoints(truth: CocoDocument) -> KeypointSchema:
    """The keypoints of a split.

    Raises:
        DataError: It has none.
    """
    schema = keypoint_schema(truth)
    if schema is None:
        raise DataError("the training set has no keypoints; set data.keypoints.names, and run record again")
    return schema


def _errors(pairs: Sequence[Pair], index: int) -> KeypointErrors:
    labelled = [pair for pair in pairs if pair.labelled[index]]
    found = [pair for pair in labelled if pair.distances is not None]
    distances = np.array([pair.distances[index] for pair in found if pair.distances is not None])
    sizes = np.array([pair.size for pair in found])
    close = sum(
        float(pair.distances[index]) <= PCK_SHARE * pair.diagonal for pair in found if pair.distances is not None
    )
    return KeypointErrors(
        len(labelled),
        len(found),
        close / len(labelled) if labelled else 0.0,
        float(distances.mean()) if found else float("nan"),
        float((distances / sizes).mean()) if found else float("nan"),
    )


def _summary(arrays: CocoArrays, classes: slice) -> dict[str, float]:
    """COCO's ten numbers for some of the classes; those without truth are left out."""
    precision, recall = arrays.precision[:, :, classes, :, -1], arrays.recall[:, classes, :, -1]
    parts: dict[str, npt.NDArray[np.float64]] = {}
    for name, part in (("AP", precision), ("AR", recall)):
        parts |= {name: part[..., 0], f"{name}50": part[0, ..., 0], f"{name}75": part[5, ..., 0]}
        parts |= {f"{name}_{size}": part[..., index] for index, size in enumerate(areas_of("keypoint")) if index}
    return {f"keypoint_{name}": mean_with_truth(part) for name, part in parts.items() if (part > -1).any()}
