"""What a detector says about one image: the one form that models give and metrics, readers and drawings take."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sightline.data.formats.coco import RunLengthEncoding


@dataclass(frozen=True, slots=True)
class Detections:
    """The detections of one image, in the coordinates of the image as it is on disk (EXIF orientation applied).

    Attributes:
        image_id: The COCO id of the image.
        boxes_xyxy: float32 [N, 4], pixels; x2 > x1, y2 > y1.
        scores: float32 [N], 0 to 1, falling.
        category_ids: int64 [N], COCO category ids (from 1).
        masks: N run-length encodings of the image's height x width, never held as bitmaps; None where the task has no
            masks.
    """

    image_id: int
    boxes_xyxy: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]
    category_ids: npt.NDArray[np.int64]
    masks: list[RunLengthEncoding] | None = None

    def __len__(self) -> int:
        return len(self.scores)

    def above(self, score_threshold: float) -> Detections:
        """The detections with ``score >= score_threshold`` (0 to 1)."""
        return self.chosen(np.flatnonzero(self.scores >= score_threshold))

    def chosen(self, indices: npt.NDArray[np.intp]) -> Detections:
        """The detections at these indices, int64 [M], in their order."""
        return Detections(
            self.image_id,
            self.boxes_xyxy[indices],
            self.scores[indices],
            self.category_ids[indices],
            None if self.masks is None else [self.masks[index] for index in indices],
        )
