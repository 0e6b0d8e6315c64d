"""Draws the truth of images and samples of any training set: objects, skeletons and the labels of the whole image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from sightline.data.formats.coco import CocoAnnotation, CocoDocument, Segmentation
from sightline.data.label_schema import keypoint_schema
from sightline.report.drawing.caption import CaptionLine, draw_caption
from sightline.report.drawing.draw import class_colour, draw_truth
from sightline.report.drawing.skeletons import draw_skeletons


class TruthDrawing:
    """Draws the truth of the images of a training set, whatever its task.

    Args:
        document: Any split of the training set.
    """

    def __init__(self, document: CocoDocument) -> None:
        self._names = {category["id"]: category["name"] for category in document["categories"]}
        self._ids = [category["id"] for category in document["categories"]]
        self._schema = keypoint_schema(document)

    def image(
        self, image: Image.Image, annotations: Sequence[CocoAnnotation], labels: Sequence[int] = ()
    ) -> Image.Image:
        """Draw an image of the training set.

        Args:
            image: RGB.
            annotations: Its objects.
            labels: Category ids of the classes of the whole image.
        """
        return self._drawn(image, annotations, dict.fromkeys(labels, 1.0))

    def sample(
        self,
        image: Image.Image,
        labels: npt.NDArray[np.int64],
        boxes_xyxy: npt.NDArray[np.floating[Any]],
        outlines: Sequence[Segmentation],
        *,
        keypoints: npt.NDArray[np.floating[Any]] | None = None,
        image_labels: npt.NDArray[np.float32] | None = None,
    ) -> Image.Image:
        """Draw an image as it is used in training.

        Args:
            image: RGB.
            labels: int64 [N], from 1 in the order of the classes.
            boxes_xyxy: float [N, 4], pixels of the image.
            outlines: N outlines in pixels of the image.
            keypoints: float [N, K, 3], see :class:`sightline.data.loading.dataset.Sample`.
            image_labels: float32 [C], the share of each class that applies to the whole image.
        """
        annotations: list[CocoAnnotation] = []
        for number, (label, (left, top, right, bottom), outline) in enumerate(
            zip(labels.tolist(), boxes_xyxy.tolist(), outlines, strict=True)
        ):
            annotations.append(
                {
                    "id": number + 1,
                    "image_id": 1,
                    "category_id": self._ids[label - 1],
                    "bbox": [left, top, right - left, bottom - top],
                    "area": 1.0,
                    "segmentation": outline,
                    "iscrowd": 0,
                }
            )
            if keypoints is not None:
                annotations[-1]["keypoints"] = keypoints[number].ravel().tolist()
        shares = [] if image_labels is None else zip(self._ids, image_labels.tolist(), strict=True)
        return self._drawn(image, annotations, {category_id: share for category_id, share in shares if share > 0})

    def _drawn(
        self, image: Image.Image, annotations: Sequence[CocoAnnotation], shares: dict[int, float]
    ) -> Image.Image:
        drawn = draw_truth(image, annotations, self._names, masks=self._schema is None)
        if self._schema is not None:
            listed = [one["keypoints"] for one in annotations if "keypoints" in one]
            points = np.array(listed, dtype=np.float64).reshape(len(listed), len(self._schema.names), 3)
            scale = drawn.width / image.width
            drawn = draw_skeletons(drawn, points[..., :2] * scale, points[..., 2].astype(np.int64), self._schema)
        if not shares:
            return drawn
        lines = [
            CaptionLine(self._names[id_] if share == 1 else f"{self._names[id_]} {share:.2f}", class_colour(id_))
            for id_, share in shares.items()
        ]
        return draw_caption(image if not annotations else drawn, lines)
