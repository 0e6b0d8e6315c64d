"""Metrics of keypoints: average precision by object keypoint similarity (OKS), PCK and errors.

OKS and average precision are computed by pycocotools, with the sigmas of the dataset
(https://cocodataset.org/#keypoints-eval).  As in COCO, an object without labeled keypoints is not to be found, and a
detection on it is not an error.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from sightline.data.formats.coco import CocoDocument
from sightline.data.keypoint_detections import KeypointDetections
from sightline.data.label_schema import KeypointSchema, keypoint_schema
from sightline.errors import DataError
from sightline.metrics.coco import RECALLS, check_detections, check_truth
from sightline.metrics.keypoint_pairs import PCK_SHARE, Pair, best_pairs

MAX_DETECTIONS = 20
"""Maximum number of detections per class and image; those with the highest scores count, as in COCO."""

_THRESHOLDS = np.linspace(0.5, 0.95, 10)


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
        values: ``keypoint_AP`` (mean over OKS 0.50, 0.55, ... 0.95), ``keypoint_AP50``, ``keypoint_AP75``, each the
            mean over the classes with truth, and ``keypoint_PCK``, over all labeled keypoints; empty without truth.
        per_class: The average precisions for each class with truth.
        curves: Class name -> precision at recalls from 0 to 1, at OKS 0.5.
        keypoints: Name of the keypoint -> its errors.
        pairs: The detection paired with each true object.
    """

    values: dict[str, float]
    per_class: dict[str, dict[str, float]] = field(default_factory=dict)
    curves: dict[str, list[float]] = field(default_factory=dict)
    keypoints: dict[str, KeypointErrors] = field(default_factory=dict)
    pairs: list[Pair] = field(default_factory=list)


def evaluate_keypoints(truth: CocoDocument, detections: Sequence[KeypointDetections]) -> KeypointScores:
    """Average precision, PCK and errors of ``detections`` against ``truth``.

    For PCK and errors, every true object is paired with at most one detection of its class in the image, pairs with the
    highest OKS first, among the :data:`MAX_DETECTIONS` detections with the highest scores.  The keypoints of an object
    without a pair are not found.

    Args:
        truth: One split; it is not changed.
        detections: At most one entry per image, in any order.

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
    if not any(_is_labelled(annotation) for annotation in truth["annotations"]):
        return KeypointScores({})
    precision, similarities = _precision(truth, detections, schema)
    values = _averages(precision)
    per_class, curves = {}, {}
    for index, name in enumerate(names.values()):
        of_class = precision[:, :, index]
        if (of_class > -1).any():
            per_class[name] = _averages(of_class)
            curves[name] = [float(value) for value in of_class[0]]
    pairs = best_pairs(truth, detections, similarities, MAX_DETECTIONS)
    errors = {name: _errors(pairs, index) for index, name in enumerate(schema.names)}
    labelled = sum(one.count for one in errors.values())
    values["keypoint_PCK"] = sum(one.pck * one.count for one in errors.values()) / labelled
    return KeypointScores(values, per_class, curves, errors, pairs)


def require_keypoints(truth: CocoDocument) -> KeypointSchema:
    """The keypoints of a split.

    Raises:
        DataError: It has none.
    """
    schema = keypoint_schema(truth)
    if schema is None:
        raise DataError("the training set has no keypoints; set data.keypoints.names, and run record again")
    return schema


def _is_labelled(annotation: Any) -> bool:  # noqa: ANN401  (an annotation of the document)
    return bool(annotation.get("num_keypoints", 0))


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


def _averages(precision: npt.NDArray[np.float64]) -> dict[str, float]:
    """AP, AP50 and AP75 from precision [thresholds, recalls, ...]; pycocotools marks values without truth by -1."""
    parts = {"keypoint_AP": precision, "keypoint_AP50": precision[0], "keypoint_AP75": precision[5]}
    return {name: float(part[part > -1].mean()) for name, part in parts.items()}


Similarities = dict[tuple[int, int], npt.NDArray[np.float64]]


def _precision(
    truth: CocoDocument, detections: Sequence[KeypointDetections], schema: KeypointSchema
) -> tuple[npt.NDArray[np.float64], Similarities]:
    """Precision [10 OKS thresholds, 101 recalls, classes by id], -1 without truth; and similarities.

    The similarities are those of pycocotools for each image and class: detections by descending score x true objects.
    """
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        truths, found = COCO(), COCO()
        # pycocotools modifies the annotations passed to it.
        truths.dataset = {**truth, "annotations": [dict(annotation) for annotation in truth["annotations"]]}
        truths.createIndex()
        found.dataset = {**truth, "annotations": _as_annotations(detections)}
        found.createIndex()
        evaluator = COCOeval(truths, found, "keypoints")
        evaluator.params.iouThrs = _THRESHOLDS
        evaluator.params.recThrs = RECALLS
        evaluator.params.maxDets = [MAX_DETECTIONS]
        evaluator.params.areaRng = [(0.0, 1e10)]
        evaluator.params.areaRngLbl = ["all"]
        evaluator.params.kpt_oks_sigmas = np.array(schema.sigmas)
        evaluator.evaluate()
        evaluator.accumulate()
    precision: npt.NDArray[np.float64] = evaluator.eval["precision"][..., 0, 0]
    return precision, {key: np.asarray(value) for key, value in evaluator.ious.items()}


def _as_annotations(detections: Sequence[KeypointDetections]) -> list[dict[str, Any]]:
    """The annotations that ``COCO.loadRes`` would make; it is not used because it fails without detections."""
    annotations: list[dict[str, Any]] = []
    for found in detections:
        places = found.keypoints.astype(np.float64)
        for index, points in enumerate(places):
            low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": found.image_id,
                    "category_id": int(found.category_ids[index]),
                    "score": float(found.scores[index]),
                    "keypoints": points.ravel().tolist(),
                    "bbox": [*low.tolist(), *(high - low).tolist()],
                    "area": float(np.prod(high - low)),
                }
            )
    return annotations
