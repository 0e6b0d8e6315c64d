"""Measures, draws and describes detections."""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from sightline.data.detections import Detections
from sightline.data.formats.coco import CocoAnnotation, CocoDocument
from sightline.errors import SightlineError
from sightline.metrics.coco import Overlap
from sightline.metrics.coco_evaluator import DEFAULT_EVALUATOR, EvaluatorName
from sightline.metrics.exact_match import Reading
from sightline.metrics.label_errors import CONFIDENT_FROM, Suspect, detector_suspects
from sightline.metrics.uncertainty import detector_uncertainty
from sightline.report.detector_sections import read_texts
from sightline.report.drawing.draw import draw_detections, draw_truth
from sightline.report.sections import Text
from sightline.tasks.detection.measurement import measure_detections
from sightline.tasks.evaluators import Measurement
from sightline.tasks.readers.registry import can_read, checked_reader
from sightline.tasks.suspects import with_suspects

if TYPE_CHECKING:
    from PIL.Image import Image

_log = logging.getLogger(__name__)


class DetectionEvaluator:
    """The evaluator of tasks with predictions of type :class:`Detections`.

    Args:
        reading: The kind of structure to read from the boxes; ``none``: nothing.
        names: Category id -> class name.
        overlaps: The kinds of overlap used to match detections with the truth; with masks, outlines are measured too.

    Attributes:
        prediction: The type of the predictions.

    Raises:
        ConfigurationError: Classes required by the reading are missing.
    """

    prediction = Detections

    def __init__(self, reading: str, names: Mapping[int, str], *, overlaps: Sequence[Overlap]) -> None:
        self._reading, self._names, self._overlaps = reading, names, overlaps
        self._reader = checked_reader(reading, list(names.values()))
        self._coco_evaluator: EvaluatorName = DEFAULT_EVALUATOR
        self._reader_failed = False

    def for_classes(self, names: Sequence[str]) -> Self:
        """The evaluator for some of the classes; without a class that the reader requires, nothing is read."""
        if can_read(self._reading, names):
            return self
        other = copy.copy(self)
        other._reader = None
        return other

    def with_coco_evaluator(self, name: EvaluatorName) -> Self:
        """The same evaluator with another implementation of COCO's metrics."""
        other = copy.copy(self)
        other._coco_evaluator = name
        return other

    def measure(self, truth: CocoDocument, predictions: Sequence[Detections], score_threshold: float) -> Measurement:
        """See :func:`sightline.tasks.detection.measurement.measure_detections`."""
        measured = measure_detections(
            truth,
            predictions,
            self._reader,
            score_threshold,
            overlaps=self._overlaps,
            evaluator=self._coco_evaluator,
        )
        return with_suspects(measured, truth, self.suspects(truth, predictions))

    def suspects(
        self,
        truth: CocoDocument,
        predictions: Sequence[Detections],
        *,
        confident_from: float = CONFIDENT_FROM,
    ) -> list[Suspect]:
        """See :func:`sightline.metrics.label_errors.detector_suspects`."""
        return detector_suspects(truth, predictions, masks="mask" in self._overlaps, confident_from=confident_from)

    def uncertainty(self, prediction: Detections) -> float:
        """See :func:`sightline.metrics.uncertainty.detector_uncertainty`."""
        return detector_uncertainty(prediction.scores)

    def describe(self, prediction: Detections, *, brief: bool = False) -> dict[str, Any]:
        """Detections as JSON values.

        Args:
            prediction: Detections in pixels of the image.
            brief: Round scores to four digits, and boxes to a tenth of a pixel.

        Returns:
            ``detections`` by descending score, each with ``class``, ``category_id``, ``score`` (0 to 1), ``box_xyxy``
            (pixels) and, if the task has masks, ``mask`` (COCO run-length encoding); ``readings`` if there is a reader,
            and always if ``brief``.
        """
        scores, boxes = prediction.scores.tolist(), prediction.boxes_xyxy.tolist()
        if brief:
            scores = [round(score, 4) for score in scores]
            boxes = [[round(value, 1) for value in box] for box in boxes]
        masks = prediction.masks
        document: dict[str, Any] = {
            "detections": [
                {"class": self._names[id_], "category_id": id_, "score": scores[index], "box_xyxy": boxes[index]}
                | ({} if masks is None else {"mask": masks[index]})
                for index, id_ in enumerate(prediction.category_ids.tolist())
            ]
        }
        read = self._read(prediction)
        if read is not None or brief:
            document["readings"] = [reading.document() for reading in read or ()]
        return document

    def _read(self, prediction: Detections) -> list[Reading] | None:
        """The readings from detections; None, with a warning, if the reader fails."""
        if self._reader is None:
            return None
        try:
            return self._reader.read(prediction.boxes_xyxy, prediction.scores, prediction.category_ids)
        except SightlineError as error:
            # Once: a reader that fails usually fails for every image.
            _log.log(logging.DEBUG if self._reader_failed else logging.WARNING, "nothing was read: %s", error)
            self._reader_failed = True
            return None

    def texts(self, description: Mapping[str, Any]) -> list[Text]:
        """The readings."""
        return read_texts(description.get("readings", []))

    def line(self, description: Mapping[str, Any]) -> str:
        """The number of detections, and the complete readings."""
        count, readings = len(description["detections"]), description.get("readings", [])
        read = [f"; {reading['kind']} {' '.join(reading['texts'])}" for reading in readings if reading["complete"]]
        return f"{count} detection{'s'[: count != 1]}{''.join(read)}"

    def draw(self, image: Image, prediction: Detections) -> Image:
        """See :func:`sightline.report.drawing.draw.draw_detections`."""
        return draw_detections(image, prediction, self._names)

    def draw_truth(
        self,
        image: Image,
        annotations: Sequence[CocoAnnotation],
        labels: Sequence[int] = (),  # noqa: ARG002
    ) -> Image:
        """Draw boxes and classes, and masks if the task has them."""
        return draw_truth(image, annotations, self._names, masks="mask" in self._overlaps)
