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
        masks: N run-length encodings of the image's height x width; masks are never held as bitmaps.
    """

    image_id: int
    boxes_xyxy: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]
    category_ids: npt.NDArray[np.int64]
    masks: list[RunLengthEncoding]

    def __len__(self) -> int:
        return len(self.scores)

    def above(self, score_threshold: float) -> Detections:
        """The detections with ``score >= score_threshold`` (0 to 1)."""
        keep = np.flatnonzero(self.scores >= score_threshold)
        return Detections(
            self.image_id,
            self.boxes_xyxy[keep],
            self.scores[keep],
            self.category_ids[keep],
            [self.masks[index] for index in keep],
        )
