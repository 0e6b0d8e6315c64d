"""Measures, draws and describes keypoints of objects."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from sightline.data.formats.coco import CocoAnnotation, CocoDocument
from sightline.data.keypoint_detections import KeypointDetections
from sightline.data.label_schema import KeypointSchema
from sightline.metrics.coco_evaluator import DEFAULT_EVALUATOR, EvaluatorName
from sightline.metrics.label_errors import CONFIDENT_FROM, Suspect
from sightline.metrics.uncertainty import detector_uncertainty
from sightline.plural import counted
from sightline.report.drawing.draw import draw_detections, draw_truth
from sightline.report.drawing.skeletons import draw_skeletons
from sightline.report.sections import Text
from sightline.tasks.evaluators import Measurement
from sightline.tasks.keypoints.label_errors import keypoint_suspects
from sightline.tasks.keypoints.measurement import measure_keypoints
from sightline.tasks.suspects import with_suspects

if TYPE_CHECKING:
    from PIL.Image import Image

SURE = 0.3
"""Keypoints with a lower score are drawn hollow, as hidden ones of the truth."""


class KeypointEvaluator:
    """The evaluator of keypoints.

    Args:
        reading: Not used: nothing is read from keypoints.
        names: Category id -> class name.
        schema: The keypoints.

    Attributes:
        prediction: The type of the predictions.
    """

    prediction = KeypointDetections

    def __init__(self, reading: str, names: Mapping[int, str], schema: KeypointSchema) -> None:  # noqa: ARG002
        self._names, self.schema = names, schema
        self._coco_evaluator: EvaluatorName = DEFAULT_EVALUATOR

    def for_classes(self, names: Sequence[str]) -> Self:  # noqa: ARG002
        """The same evaluator: every class is measured on its own."""
        return self

    def with_coco_evaluator(self, name: EvaluatorName) -> Self:
        """The same evaluator with another implementation of COCO's metrics."""
        other = copy.copy(self)
        other._coco_evaluator = name
        return other

    def measure(
        self, truth: CocoDocument, predictions: Sequence[KeypointDetections], score_threshold: float
    ) -> Measurement:
        """See :func:`sightline.tasks.keypoints.measurement.measure_keypoints`."""
        measured = measure_keypoints(truth, predictions, score_threshold, self._coco_evaluator)
        return with_suspects(measured, truth, self.suspects(truth, predictions))

    def suspects(
        self,
        truth: CocoDocument,
        predictions: Sequence[KeypointDetections],
        *,
        confident_from: float = CONFIDENT_FROM,
    ) -> list[Suspect]:
        """See :func:`sightline.tasks.keypoints.label_errors.keypoint_suspects`."""
        return keypoint_suspects(truth, predictions, confident_from=confident_from)

    def uncertainty(self, prediction: KeypointDetections) -> float:
        """That of the objects, or of the keypoint that the model is least sure of, whichever is higher."""
        sure = prediction.above(SURE).keypoints[..., 2]
        return max(detector_uncertainty(prediction.scores), detector_uncertainty(sure.ravel()))

    def describe(self, prediction: KeypointDetections, *, brief: bool = False) -> dict[str, Any]:
        """Detections as JSON values.

        Args:
            prediction: Detections in pixels of the image.
            brief: Round scores to four digits, and coordinates to a tenth of a pixel.

        Returns:
            ``detections`` by descending score, each with ``class``, ``category_id``, ``score`` (0 to 1), ``box_xyxy``
            (pixels) and ``keypoints``: name -> ``[x, y, score]``.
        """

        def rounded(value: float, digits: int) -> float:
            return round(value, digits) if brief else value

        return {
            "detections": [
                {
                    "class": self._names[int(id_)],
                    "category_id": int(id_),
                    "score": rounded(float(score), 4),
                    "box_xyxy": [rounded(value, 1) for value in box.tolist()],
                    "keypoints": {
                        name: [rounded(x, 1), rounded(y, 1), rounded(sure, 4)]
                        for name, (x, y, sure) in zip(self.schema.names, points.tolist(), strict=True)
                    },
                }
                for id_, score, box, points in zip(
                    prediction.category_ids,
                    prediction.scores,
                    prediction.boxes_xyxy,
                    prediction.keypoints,
                    strict=True,
                )
            ]
        }

    def texts(self, description: Mapping[str, Any]) -> list[Text]:  # noqa: ARG002
        """No texts."""
        return []

    def line(self, description: Mapping[str, Any]) -> str:
        """The number of detections."""
        return counted(len(description["detections"]), "detection")

    def draw(self, image: Image, prediction: KeypointDetections) -> Image:
        """Draw boxes and skeletons; keypoints with a low score are hollow."""
        points = prediction.keypoints
        return self._with_skeletons(
            draw_detections(image, prediction, self._names),
            image,
            points[..., :2],
            np.where(points[..., 2] >= SURE, 2, 1),
        )

    def draw_truth(
        self,
        image: Image,
        annotations: Sequence[CocoAnnotation],
        labels: Sequence[int] = (),  # noqa: ARG002
    ) -> Image:
        """Draw boxes and skeletons; hidden keypoints are hollow."""
        listed = [one["keypoints"] for one in annotations if "keypoints" in one]
        points = np.array(listed, dtype=np.float64).reshape(len(listed), len(self.schema.names), 3)
        return self._with_skeletons(
            draw_truth(image, annotations, self._names, masks=False),
            image,
            points[..., :2],
            points[..., 2].astype(np.int64),
        )

    def _with_skeletons(self, drawn: Image, image: Image, points: Any, visibility: Any) -> Image:  # noqa: ANN401
        """Skeletons on a drawing, which may be larger than the image."""
        return draw_skeletons(drawn, points * (drawn.width / image.width), visibility, self.schema)


EVALUATOR = KeypointEvaluator
