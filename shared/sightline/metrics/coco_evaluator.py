"""COCO's precision and recall arrays, by hotcoco or by the reference implementation, pycocotools.

This is the only module that knows either of them; both give equal arrays.  hotcoco is written in Rust and much faster.
"""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from sightline.data.detections import Detections
from sightline.data.formats.coco import CocoAnnotation, CocoDocument
from sightline.data.keypoint_detections import KeypointDetections

if TYPE_CHECKING:
    from hotcoco import COCO

Kind = Literal["box", "mask", "keypoint"]
"""What is compared: IoU of boxes or masks, or object keypoint similarity (OKS)."""

EvaluatorName = Literal["hotcoco", "pycocotools"]

DEFAULT_EVALUATOR: EvaluatorName = "hotcoco"

THRESHOLDS: npt.NDArray[np.float64] = np.linspace(0.5, 0.95, 10)
"""The overlaps from which on a detection matches a true object."""

AREAS = {"all": (0.0, 1e10), "small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10)}
"""Ranges of the area of objects in square pixels; keypoints have no range ``small``."""

MAX_DETECTIONS: dict[Kind, tuple[int, ...]] = {"box": (1, 10, 100), "mask": (1, 10, 100), "keypoint": (20,)}
"""Numbers of detections per class and image that count, those with the highest scores; AP uses the last."""

_IOU_TYPES = {"box": "bbox", "mask": "segm", "keypoint": "keypoints"}
_EXACT_FLOAT = 2**53
"""The largest id in tables, whose numbers are floats."""


@dataclass(frozen=True, slots=True)
class CocoArrays:
    """The arrays of COCO's evaluation; -1 where there is no truth.

    Classes are ordered by category id, areas as in :func:`areas_of`, numbers of detections as in
    :data:`MAX_DETECTIONS`.

    Attributes:
        precision: [10 thresholds, 101 recalls, classes, areas, numbers of detections], 0 to 1.
        recall: [10 thresholds, classes, areas, numbers of detections], 0 to 1.
        scores: Like ``precision``: the score of the detection with which a recall is reached; 0 where it is not.
    """

    precision: npt.NDArray[np.float64]
    recall: npt.NDArray[np.float64]
    scores: npt.NDArray[np.float64]


def areas_of(kind: Kind) -> tuple[str, ...]:
    """Names of the area ranges in which objects are measured, ``all`` first."""
    return tuple(name for name in AREAS if kind != "keypoint" or name != "small")


def coco_arrays(
    truth: CocoDocument,
    detections: Sequence[Detections],
    kind: Kind,
    sigmas: Sequence[float] = (),
    evaluator: EvaluatorName = DEFAULT_EVALUATOR,
) -> CocoArrays:
    """Evaluate valid detections against valid truth.

    Args:
        truth: One split, checked by :func:`sightline.metrics.coco.check_truth`; it is not changed.
        detections: Checked by :func:`sightline.metrics.coco.check_detections`; :class:`KeypointDetections` if ``kind``
            is ``keypoint``.
        kind: What is compared.
        sigmas: The sigma of each keypoint.
        evaluator: The implementation.
    """
    if evaluator == "hotcoco" and _Threads.usable():
        return _by_hotcoco(truth, detections, kind, sigmas)
    return _by_pycocotools(truth, detections, kind, sigmas)


class _Threads:
    """The threads of hotcoco, which belong to the process that used it first.

    A process that was forked afterwards lacks them, and hotcoco would wait for them forever.
    """

    _owner = 0

    @classmethod
    def usable(cls) -> bool:
        """Whether hotcoco can be used in this process."""
        cls._owner = cls._owner or os.getpid()
        return cls._owner == os.getpid()


def _by_hotcoco(
    truth: CocoDocument, detections: Sequence[Detections], kind: Kind, sigmas: Sequence[float]
) -> CocoArrays:
    import hotcoco

    ids = [one["id"] for part in (truth["images"], truth["categories"]) for one in part]
    exact = max(ids, default=0) <= _EXACT_FLOAT
    truths = _boxes_of_truth(truth) if kind == "box" and exact else hotcoco.COCO({**truth})
    masks: list[Any] = [mask for one in detections for mask in one.masks or ()] if kind == "mask" else []
    if kind == "keypoint":
        found = truths.load_res(list(_keypoint_results(detections)))
    elif exact:
        found = truths.load_res(_as_rows(detections), segmentation=masks or None)
    else:
        found = truths.load_res(_as_annotations(detections, kind))
    if masks:
        # hotcoco takes the areas of the boxes, which decide about the ranges of areas.
        found.update_anns(ids=np.arange(1, len(masks) + 1), area=hotcoco.mask.area(masks).astype(np.float64))
    evaluation = hotcoco.COCOeval(truths, found, _IOU_TYPES[kind])
    if kind == "keypoint":
        evaluation.params.kpt_oks_sigmas = list(sigmas)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # sigmas other than those of COCO's persons
        evaluation.evaluate()
        evaluation.accumulate()
    arrays = evaluation.eval
    assert arrays is not None  # noqa: S101  (accumulate made it)
    return CocoArrays(arrays["precision"], arrays["recall"], arrays["scores"])


def _by_pycocotools(
    truth: CocoDocument, detections: Sequence[Detections], kind: Kind, sigmas: Sequence[float]
) -> CocoArrays:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        truths, found = COCO(), COCO()
        # pycocotools modifies the annotations passed to it.
        truths.dataset = {**truth, "annotations": [dict(annotation) for annotation in truth["annotations"]]}
        truths.createIndex()
        found.dataset = {**truth, "annotations": _as_annotations(detections, kind)}
        found.createIndex()
        evaluation = COCOeval(truths, found, _IOU_TYPES[kind])
        if kind == "keypoint":
            evaluation.params.kpt_oks_sigmas = np.array(sigmas)
        evaluation.evaluate()
        evaluation.accumulate()
    return CocoArrays(*(evaluation.eval[name] for name in ("precision", "recall", "scores")))


def _boxes_of_truth(truth: CocoDocument) -> COCO:
    """The truth without outlines, read as columns, which takes half the time of reading the document."""
    import hotcoco

    annotations = truth["annotations"]
    numbers = np.fromiter(_box_numbers(annotations), np.float64, 8 * len(annotations)).reshape(-1, 8)
    return hotcoco.COCO.from_arrays(
        [dict(image) for image in truth["images"]],
        [dict(category) for category in truth["categories"]],
        numbers[:, 0].astype(np.int64),
        numbers[:, 1].astype(np.int64),
        numbers[:, 4:],
        area=numbers[:, 2],
        iscrowd=numbers[:, 3] > 0,
    )


def _box_numbers(annotations: Sequence[CocoAnnotation]) -> Iterator[float]:
    for one in annotations:
        yield one["image_id"]
        yield one["category_id"]
        yield one["area"]
        yield one["iscrowd"]
        yield from one["bbox"]


def _as_rows(detections: Sequence[Detections]) -> npt.NDArray[np.float64]:
    """Image id, box as x, y, width, height, score and category id: [N, 7]."""
    rows = np.zeros((sum(map(len, detections)), 7))
    if len(rows):
        rows[:, 0] = np.repeat([one.image_id for one in detections], [len(one) for one in detections])
        rows[:, 1:5] = np.concatenate([one.boxes_xyxy.reshape(-1, 4) for one in detections])
        rows[:, 3:5] -= rows[:, 1:3]
        rows[:, 5] = np.concatenate([one.scores for one in detections])
        rows[:, 6] = np.concatenate([one.category_ids for one in detections])
    return rows


def _keypoint_results(detections: Sequence[Detections]) -> Iterator[dict[str, Any]]:
    """Detections as in a result file of COCO, but with arrays of keypoints, since a million floats take longer."""
    for found in detections:
        assert isinstance(found, KeypointDetections)  # noqa: S101  (as documented)
        points = found.keypoints.astype(np.float64).reshape(len(found), 3 * found.keypoints.shape[1])
        for keypoints, score, category in zip(points, found.scores.tolist(), found.category_ids.tolist(), strict=True):
            yield {"image_id": found.image_id, "category_id": category, "keypoints": keypoints, "score": score}


def _as_annotations(detections: Sequence[Detections], kind: Kind) -> list[dict[str, Any]]:
    """The annotations that ``COCO.loadRes`` of pycocotools would make; it fails without detections."""
    annotations: list[dict[str, Any]] = []
    for found in detections:
        scores, categories = found.scores.tolist(), found.category_ids.tolist()
        for index, shape in enumerate(_shapes(found, kind)):
            fields = {"id": len(annotations) + 1, "image_id": found.image_id, "category_id": categories[index]}
            annotations.append({**fields, "score": scores[index], "iscrowd": 0, **shape})
    return annotations


def _shapes(found: Detections, kind: Kind) -> Iterator[dict[str, Any]]:
    """Box, area and segmentation or keypoints of each detection, as ``COCO.loadRes`` would compute them."""
    from pycocotools import mask as coco_mask

    if kind == "keypoint":
        assert isinstance(found, KeypointDetections)  # noqa: S101  (as documented)
        places = found.keypoints.astype(np.float64)
        flat = places.reshape(len(places), 3 * places.shape[1])
        low, sides = places[..., :2].min(axis=1), np.ptp(places[..., :2], axis=1)
        for points, corner, size in zip(flat.tolist(), low, sides, strict=True):
            yield {"keypoints": points, "bbox": [*corner.tolist(), *size.tolist()], "area": float(np.prod(size))}
        return
    boxes = found.boxes_xywh
    masks = found.masks if kind == "mask" and found.masks is not None else [None] * len(boxes)
    for box, mask in zip(boxes.tolist(), masks, strict=True):
        area = box[2] * box[3] if mask is None else float(coco_mask.area(mask))
        yield {"bbox": box, "area": area, "segmentation": [] if mask is None else mask}
