"""The boxes that a top-down network predicts on: given with a split, found by a detector, or the whole image."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from sightline.config.published_weights import CHAMPION
from sightline.config.settings import embedded_or_own
from sightline.data.detections import Detections
from sightline.data.formats.coco import CocoDocument
from sightline.errors import ModelFileError
from sightline.models.model_file import ModelCard
from sightline.registry.named_champion import find_champion
from sightline.storage import open_storage
from sightline.storage.uris import fetch
from sightline.tasks.base import Predictor, load_predictor
from sightline.temporary_folder import temporary_folder

_log = logging.getLogger(__name__)


class BoxSource(Protocol):
    """Gives boxes.

    Attributes:
        given: Whether the boxes are those of the truth or of the image, instead of found ones.
    """

    given: bool

    def boxes(self, images: Sequence[Image.Image], image_ids: Sequence[int]) -> list[Detections]:
        """The boxes in images, with scores and category ids of the keypoint model."""
        ...


class WholeImages:
    """The whole image is one object of the first class.

    Args:
        category_id: The id of the class.
        remark: Remark to log once; empty: none.
    """

    given = True

    def __init__(self, category_id: int, remark: str = "") -> None:
        self._category_id, self._remark = category_id, remark

    def boxes(self, images: Sequence[Image.Image], image_ids: Sequence[int]) -> list[Detections]:
        """One box for each image."""
        if self._remark:
            _log.warning(self._remark)
            self._remark = ""
        return [
            _detections(image_id, np.array([[0, 0, *image.size]], np.float32), [self._category_id])
            for image, image_id in zip(images, image_ids, strict=True)
        ]


class TrueBoxes:
    """The boxes of a split; an image that is not one of the split is one object.

    Args:
        document: The split.
        category_ids: The category ids of the model by class name; objects of other classes are left out.
        others: Gives the boxes of other images.
    """

    given = True

    def __init__(self, document: CocoDocument, category_ids: Mapping[str, int], others: BoxSource) -> None:
        self._others = others
        names = {category["id"]: category["name"] for category in document["categories"]}
        self._boxes: dict[int, list[list[float]]] = {image["id"]: [] for image in document["images"]}
        self._ids: dict[int, list[int]] = defaultdict(list)
        for annotation in document["annotations"]:
            name = names[annotation["category_id"]]
            if name in category_ids:
                x, y, width, height = annotation["bbox"]
                self._boxes[annotation["image_id"]].append([x, y, x + width, y + height])
                self._ids[annotation["image_id"]].append(category_ids[name])

    def boxes(self, images: Sequence[Image.Image], image_ids: Sequence[int]) -> list[Detections]:
        """The true boxes of the images, in the order of the annotations."""
        return [
            _detections(id_, np.array(self._boxes[id_], np.float32).reshape(-1, 4), self._ids[id_])
            if id_ in self._boxes
            else self._others.boxes([image], [id_])[0]
            for image, id_ in zip(images, image_ids, strict=True)
        ]


class FoundBoxes:
    """The boxes that a detector of Sightline finds, loaded on first use; classes are matched by name.

    Args:
        address: Path or URI of a model file, or ``champion:<dataset>``.
        card: Card of the keypoint model.
        device: Where the detector is to run.
    """

    given = False

    def __init__(self, address: str, card: ModelCard, device: torch.device) -> None:
        self._address, self._card, self._device = address, card, device

    def boxes(self, images: Sequence[Image.Image], image_ids: Sequence[int]) -> list[Detections]:
        """The boxes that the detector finds.

        Raises:
            ModelFileError: The detector cannot be used.
        """
        ids = dict(zip(self._card.classes, self._card.category_ids, strict=True))
        kept = {id_: ids[name] for id_, name in self._detector.class_names.items() if name in ids}
        found = self._detector.predict_batch(images, image_ids)
        return [one.of_classes(kept) for one in found]

    @cached_property
    def _detector(self) -> Predictor:
        with temporary_folder("weights") as folder:
            predictor = load_predictor(_model_file(self._address, Path(folder)), self._device.type)
        if not set(predictor.class_names.values()) & set(self._card.classes):
            raise ModelFileError(
                f"model.boxes: {self._address} detects {', '.join(predictor.card.classes)}, none of the classes of the "
                f"keypoint model ({', '.join(self._card.classes)}); use a detector of these classes"
            )
        return predictor


def _model_file(address: str, folder: Path) -> Path:
    if address.startswith(CHAMPION):
        address = find_champion(open_storage(embedded_or_own("storage", "uri")), address).uri
    if "://" in address:
        return fetch(address, folder)
    return Path(address).expanduser()


def _detections(image_id: int, boxes_xyxy: npt.NDArray[np.float32], category_ids: Sequence[int]) -> Detections:
    scores = np.ones(len(boxes_xyxy), np.float32)
    return Detections(image_id, boxes_xyxy, scores, np.array(category_ids, np.int64))
