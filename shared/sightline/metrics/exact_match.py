"""Exact inference rate, EIR: how many structures, such as license plates, were read without a single mistake.

What a structure is, how it is read from boxes, and when two readings are the same, a :class:`Reader` says; one that
reads license plates is :mod:`sightline.tasks.readers.plates`.  Truth is read by the same reader as detections are::

    EIR = true readings with a read one that is the same / true readings

Matching is one to one.  An image in which nothing was found counts its true readings as not read; an image without true
readings counts nothing, whatever was read there: such readings are reported as false.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from sightline.data.detections import Detections
from sightline.data.formats.coco import CocoAnnotation, CocoDocument
from sightline.metrics.coco import check_detections, check_truth


@dataclass(frozen=True, slots=True)
class Reading:
    """One structure that was read from the boxes of an image.

    Attributes:
        kind: What it is, such as ``r_board``.
        texts: Its texts in reading order.
        centre_xy: Pixels.
        size_wh: Width and height, pixels.
        score: 0 to 1; that of the least sure detection it was read from.
        complete: Whether every part of it was found; one that is not is never the same as another.
    """

    kind: str
    texts: tuple[str, ...]
    centre_xy: tuple[float, float]
    size_wh: tuple[float, float]
    score: float
    complete: bool

    def document(self) -> dict[str, Any]:
        """The reading as JSON values; coordinates to a tenth of a pixel."""
        return {
            "kind": self.kind,
            "texts": list(self.texts),
            "centre": [round(value, 1) for value in self.centre_xy],
            "size": [round(value, 1) for value in self.size_wh],
            "score": round(self.score, 4),
            "complete": self.complete,
        }


class Reader(Protocol):
    """Reads structures from boxes."""

    def read(
        self,
        boxes_xyxy: npt.NDArray[np.floating[Any]],
        scores: npt.NDArray[np.floating[Any]],
        category_ids: npt.NDArray[np.integer[Any]],
    ) -> list[Reading]:
        """The structures in one image, from boxes [N, 4] in pixels, scores [N] and COCO category ids [N]."""
        ...

    def same(self, read: Reading, true: Reading) -> bool:
        """Whether ``read`` is an exact reading of ``true``."""
        ...


@dataclass(frozen=True, slots=True)
class ImageReadings:
    """The readings of one image.

    Attributes:
        image_id: The COCO id of the image.
        true: The complete readings of the truth.
        read: What was read, complete or not.
        matched: How many of ``true`` were read exactly.
        false: How many complete ones of ``read`` are the same as no true one.
    """

    image_id: int
    true: list[Reading]
    read: list[Reading]
    matched: int
    false: int

    @property
    def right(self) -> bool:
        """Whether everything was read, and nothing that is not there."""
        return self.matched == len(self.true) and not self.false


@dataclass(frozen=True, slots=True)
class ExactMatch:
    """How many structures of a split were read exactly.

    Attributes:
        values: ``{"EIR": ...}``, 0 to 1; empty where the truth holds no complete structure.
        true: Complete structures in the truth.
        matched: Those of them that were read exactly.
        false: Complete readings that are the same as no true one.
        images: The images with true or read structures, in the order of the truth.
    """

    values: dict[str, float]
    true: int
    matched: int
    false: int
    images: list[ImageReadings]


def evaluate_exact_match(truth: CocoDocument, detections: Sequence[Detections], reader: Reader) -> ExactMatch:
    """EIR of ``detections`` against ``truth``, both read by ``reader``.

    Args:
        truth: One split.
        detections: At most one entry an image; those too unsure to be read are left out before
            (:meth:`~sightline.data.detections.Detections.above`).
        reader: What to read.

    Raises:
        DataError: As :func:`sightline.metrics.coco.evaluate_coco`.
    """
    check_truth(truth)
    check_detections(truth, detections)
    found = {entry.image_id: entry for entry in detections}
    annotations: dict[int, list[CocoAnnotation]] = defaultdict(list)
    for annotation in truth["annotations"]:
        annotations[annotation["image_id"]].append(annotation)
    images = []
    for image in truth["images"]:
        true = [reading for reading in read_truth(annotations[image["id"]], reader) if reading.complete]
        entry = found.get(image["id"])
        read = [] if entry is None else reader.read(entry.boxes_xyxy, entry.scores, entry.category_ids)
        if true or read:
            images.append(_compare(image["id"], true, read, reader))
    total, matched = sum(len(image.true) for image in images), sum(image.matched for image in images)
    values = {"EIR": matched / total} if total else {}
    return ExactMatch(values, total, matched, sum(image.false for image in images), images)


def read_truth(annotations: Sequence[CocoAnnotation], reader: Reader) -> list[Reading]:
    """What ``reader`` reads from the annotations of one image, with score 1."""
    boxes = np.array([annotation["bbox"] for annotation in annotations], np.float64).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    category_ids = np.array([annotation["category_id"] for annotation in annotations], np.int64)
    return reader.read(boxes, np.ones(len(annotations)), category_ids)


def _compare(image_id: int, true: list[Reading], read: list[Reading], reader: Reader) -> ImageReadings:
    """Match one to one; the surest reading chooses first."""
    left = list(range(len(true)))
    matched = false = 0
    for reading in sorted((reading for reading in read if reading.complete), key=lambda reading: -reading.score):
        same = next((index for index in left if reader.same(reading, true[index])), None)
        if same is None:
            false += 1
        else:
            left.remove(same)
            matched += 1
    return ImageReadings(image_id, true, read, matched, false)
