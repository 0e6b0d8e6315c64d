"""Structured exact match: the share of structures, such as license plates, that were read without any mistake.

A :class:`Reader` defines the structures, reads them from boxes and compares two readings; the one for license plates is
:mod:`sightline.tasks.readers.plates`.  The truth is read by the same reader as the detections::

    EIR = true readings with an equal reading / true readings

EIR is the exact inference rate.  Matching is one to one.  In an image without detections all true readings count as not
read.  An image without true readings does not affect EIR; readings in it are reported as false.

A true reading without an equal one is compared with the nearest reading that is left and whose center is inside the
true structure, complete or not; :mod:`sightline.metrics.reading_errors` counts the differences.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from sightline.data.detections import Detections
from sightline.data.formats.coco import CocoAnnotation, CocoDocument
from sightline.metrics.coco import check_detections, check_truth
from sightline.metrics.statistic import Ratio


@dataclass(frozen=True, slots=True)
class Reading:
    """One structure read from the boxes of an image.

    Attributes:
        kind: Kind of structure, such as ``r_board``.
        texts: Its texts, in reading order.
        centre_xy: Center in pixels.
        size_wh: Width and height in pixels.
        score: 0 to 1; the lowest score of the detections it was read from.
        complete: Whether all its parts were found; an incomplete reading never equals another one.
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
    """Reads structures from boxes.

    It may also have the attributes ``parts``, names of the texts of a reading such as ``("sub text", "main text")``,
    and ``noun``, the name of a structure such as ``plate``; pages use them.
    """

    def read(
        self,
        boxes_xyxy: npt.NDArray[np.floating[Any]],
        scores: npt.NDArray[np.floating[Any]],
        category_ids: npt.NDArray[np.integer[Any]],
    ) -> list[Reading]:
        """Read the structures of one image from boxes [N, 4] in pixels, scores [N] and COCO category ids [N]."""
        ...

    def same(self, read: Reading, true: Reading) -> bool:
        """Whether ``read`` is an exact reading of ``true``."""
        ...


@dataclass(frozen=True, slots=True)
class ImageReadings:
    """The readings of one image.

    Attributes:
        image_id: The COCO id of the image.
        true: Complete readings of the truth.
        read: Readings of the detections, complete or not.
        matched: Number of readings in ``true`` that were read exactly.
        false: Number of complete readings in ``read`` without an equal true reading.
        partners: For each reading in ``true`` the one in ``read`` that it is compared with; None: there is none.
        exact: For each reading in ``true`` whether it was read exactly.
    """

    image_id: int
    true: list[Reading]
    read: list[Reading]
    matched: int
    false: int
    partners: list[Reading | None] = field(default_factory=list)
    exact: list[bool] = field(default_factory=list)

    @property
    def right(self) -> bool:
        """Whether all true readings were read and there are no false ones."""
        return self.matched == len(self.true) and not self.false


@dataclass(frozen=True, slots=True)
class ExactMatch:
    """The number of structures of a split that were read exactly.

    Attributes:
        values: ``{"EIR": ...}``, 0 to 1; empty if the truth has no complete structure.
        true: Number of complete structures in the truth.
        matched: Number of those that were read exactly.
        false: Number of complete readings without an equal true reading.
        images: The images with true or read structures, in the order of the truth.
        statistics: The metrics of ``values`` by how often each image counts.
    """

    values: dict[str, float]
    true: int
    matched: int
    false: int
    images: list[ImageReadings]
    statistics: dict[str, Ratio] = field(default_factory=dict)


def evaluate_exact_match(truth: CocoDocument, detections: Sequence[Detections], reader: Reader) -> ExactMatch:
    """EIR of ``detections`` against ``truth``, both read by ``reader``.

    Args:
        truth: One split.
        detections: At most one entry per image, already filtered by score
            (:meth:`~sightline.data.detections.Detections.above`).
        reader: Reads the structures.

    Raises:
        DataError: As for :func:`sightline.metrics.coco.evaluate_coco`.
        StepError: The reader failed, if it is one of :func:`sightline.tasks.readers.registry.open_reader`.
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
    false = sum(image.false for image in images)
    return ExactMatch(values, total, matched, false, images, dict.fromkeys(values, _ratio(truth, images)))


def _ratio(truth: CocoDocument, images: Sequence[ImageReadings]) -> Ratio:
    of_image = {image.image_id: (image.matched, len(image.true)) for image in images}
    counts = np.array([of_image.get(image["id"], (0, 0)) for image in truth["images"]], np.float64).reshape(-1, 2)
    return Ratio(counts[:, 0], counts[:, 1])


def read_truth(annotations: Sequence[CocoAnnotation], reader: Reader) -> list[Reading]:
    """The readings from the annotations of one image, with score 1."""
    boxes = np.array([annotation["bbox"] for annotation in annotations], np.float64).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    category_ids = np.array([annotation["category_id"] for annotation in annotations], np.int64)
    return reader.read(boxes, np.ones(len(annotations)), category_ids)


def _compare(image_id: int, true: list[Reading], read: list[Reading], reader: Reader) -> ImageReadings:
    """Match readings one to one, by descending score; those that are left over, by distance."""
    partners: dict[int, int] = {}
    left = list(range(len(true)))
    claims = sorted((index for index, one in enumerate(read) if one.complete), key=lambda index: -read[index].score)
    for claim in claims:
        same = next((index for index in left if reader.same(read[claim], true[index])), None)
        if same is not None:
            left.remove(same)
            partners[same] = claim
    matched = len(partners)
    exact = [index in partners for index in range(len(true))]
    partners |= _nearest(true, read, left, set(range(len(read))) - set(partners.values()))
    compared = [read[partners[index]] if index in partners else None for index in range(len(true))]
    return ImageReadings(image_id, true, read, matched, len(claims) - matched, compared, exact)


def _nearest(true: list[Reading], read: list[Reading], left: Sequence[int], unused: set[int]) -> dict[int, int]:
    """True reading -> reading with its center inside the true structure, one to one, the nearest first."""
    distances = sorted(
        (distance, index, other)
        for index in left
        for other in unused
        if (distance := _distance(read[other], true[index])) < 1.0
    )
    found: dict[int, int] = {}
    for _, index, other in distances:
        if index not in found and other not in found.values():
            found[index] = other
    return found


def _distance(read: Reading, true: Reading) -> float:
    """Distance of the centers, 1 at the border of the true structure."""
    offsets = zip(read.centre_xy, true.centre_xy, true.size_wh, strict=True)
    return max(2 * abs(one - other) / length if length > 0 else np.inf for one, other, length in offsets)
