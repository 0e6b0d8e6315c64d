"""Detections with keypoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from sightline.data.detections import Detections


@dataclass(frozen=True, slots=True, kw_only=True)
class KeypointDetections(Detections):
    """The detections of one image with their keypoints.

    Attributes:
        keypoints: float32 [N, K, 3]: x and y in pixels, and score, 0 to 1.
        boxes_given: Whether the boxes were given to the network instead of found.
    """

    keypoints: npt.NDArray[np.float32]
    boxes_given: bool = False

    def to_json(self) -> dict[str, Any]:
        """JSON values from which :meth:`from_json` restores the exact detections."""
        keypoints = {
            "keypoints": self.keypoints.tolist(),
            "keypoint_count": self.keypoints.shape[1],
            "boxes_given": self.boxes_given,
        }
        return Detections.to_json(self) | keypoints

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Restore the detections that :meth:`to_json` wrote.

        Raises:
            LookupError, TypeError, ValueError or OverflowError: The values have another format.
        """
        boxes = Detections.from_json(values)
        shape = len(boxes), values["keypoint_count"], 3
        return cls(
            image_id=boxes.image_id,
            boxes_xyxy=boxes.boxes_xyxy,
            scores=boxes.scores,
            category_ids=boxes.category_ids,
            masks=boxes.masks,
            keypoints=np.array(values["keypoints"], np.float32).reshape(shape),
            boxes_given=bool(values["boxes_given"]),
        )

    def chosen(self, indices: npt.NDArray[np.intp]) -> Self:
        """The detections at these indices, int64 [M], in the order of the indices."""
        return replace(Detections.chosen(self, indices), keypoints=self.keypoints[indices])
