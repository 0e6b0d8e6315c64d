"""Detections of one image: the common format of models, metrics, readers and drawings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from sightline.data.formats.coco import RunLengthEncoding


@dataclass(frozen=True, slots=True)
class Detections:
    """The detections of one image, in the coordinates of the image as it is on disk (EXIF orientation applied).

    Attributes:
        image_id: The COCO id of the image.
        boxes_xyxy: float32 [N, 4], pixels; x2 > x1, y2 > y1.
        scores: float32 [N], 0 to 1, descending.
        category_ids: int64 [N], COCO category ids (from 1).
        masks: N run-length encodings of the image's height x width, never stored as bitmaps; None if the task has no
            masks.
    """

    image_id: int
    boxes_xyxy: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]
    category_ids: npt.NDArray[np.int64]
    masks: list[RunLengthEncoding] | None = None

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def boxes_xywh(self) -> npt.NDArray[np.float64]:
        """The boxes in COCO's format: float64 [N, 4], x, y, width, height in pixels."""
        boxes = self.boxes_xyxy.astype(np.float64).reshape(-1, 4)
        boxes[:, 2:] -= boxes[:, :2]
        return boxes

    def above(self, score_threshold: float | Mapping[int, float]) -> Self:
        """The detections with ``score >= score_threshold``.

        Args:
            score_threshold: 0 to 1; or the threshold of each category id.
        """
        if isinstance(score_threshold, Mapping):
            lowest = np.array([score_threshold[id_] for id_ in self.category_ids.tolist()], np.float64)
            return self.chosen(np.flatnonzero(self.scores >= lowest))
        return self.chosen(np.flatnonzero(self.scores >= score_threshold))

    def of_classes(self, ids: Mapping[int, int]) -> Self:
        """The detections of some classes, with other category ids.

        Args:
            ids: Category id -> new category id; detections of other classes are left out.
        """
        kept = self.chosen(np.flatnonzero(np.isin(self.category_ids, list(ids))))
        return replace(kept, category_ids=np.array([ids[int(id_)] for id_ in kept.category_ids], np.int64))

    def to_json(self) -> dict[str, Any]:
        """JSON values from which :meth:`from_json` restores the exact detections."""
        return {
            "image_id": self.image_id,
            "boxes_xyxy": self.boxes_xyxy.tolist(),
            "scores": self.scores.tolist(),
            "category_ids": self.category_ids.tolist(),
            **({} if self.masks is None else {"masks": self.masks}),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Restore the detections that :meth:`to_json` wrote.

        Raises:
            LookupError, TypeError, ValueError or OverflowError: The values have another format.
        """
        return cls(
            image_id=values["image_id"],
            boxes_xyxy=np.array(values["boxes_xyxy"], np.float32).reshape(-1, 4),
            scores=np.array(values["scores"], np.float32),
            category_ids=np.array(values["category_ids"], np.int64),
            masks=values.get("masks"),
        )

    def chosen(self, indices: npt.NDArray[np.intp]) -> Self:
        """The detections at these indices, int64 [M], in the order of the indices."""
        return replace(
            self,
            boxes_xyxy=self.boxes_xyxy[indices],
            scores=self.scores[indices],
            category_ids=self.category_ids[indices],
            masks=None if self.masks is None else [self.masks[index] for index in indices],
        )
