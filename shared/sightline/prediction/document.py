"""Detections as JSON: what ``sightline model predict`` writes beside each drawn image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sightline.data.detections import Detections
from sightline.metrics.exact_match import Reading
from sightline.tasks.readers.registry import open_reader

if TYPE_CHECKING:
    from sightline.models.model_file import ModelCard


def readings_of(detections: Detections, card: ModelCard) -> list[Reading]:
    """What the detections of a model read, such as plates; empty for a model that reads nothing.

    Args:
        detections: Of one image.
        card: Of the model that made them.
    """
    reader = open_reader(card.reading, card.classes)
    return (
        []
        if reader is None
        else reader.read(detections.boxes_xyxy, detections.scores, detections.category_ids)
    )  # fmt: skip


def prediction_document(detections: Detections, card: ModelCard, image: str | Path = "") -> dict[str, Any]:
    """The detections of one image as JSON values.

    Args:
        detections: In the image's pixels.
        card: Of the model that made them.
        image: What the document calls the image.

    Returns:
        ``image``; ``detections``, the surest first, each with ``class``, ``category_id``, ``score`` (0 to 1),
        ``box_xyxy`` (pixels) and, where the task has masks, ``mask`` (COCO run-length encoding); ``readings`` where the
        model reads something.
    """
    names = dict(zip(card.category_ids, card.classes, strict=True))
    boxes, scores = detections.boxes_xyxy.tolist(), detections.scores.tolist()
    masks = detections.masks
    document: dict[str, Any] = {
        "image": str(image),
        "detections": [
            {"class": names[id_], "category_id": id_, "score": scores[index], "box_xyxy": boxes[index]}
            | ({} if masks is None else {"mask": masks[index]})
            for index, id_ in enumerate(detections.category_ids.tolist())
        ],
    }
    if card.reading != "none":
        document["readings"] = [reading.document() for reading in readings_of(detections, card)]
    return document
