"""The interface of evaluators, which measure, draw and describe predictions for evaluate, test and predict.

It is separate from :mod:`sightline.tasks.base`, so that a change of an evaluator does not cause a new training.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

from sightline.config.task_declarations import TASK_NAMES, task_declaration
from sightline.data.formats.coco import CocoAnnotation, CocoDocument
from sightline.data.label_schema import KeypointSchema
from sightline.errors import DataError
from sightline.metrics.coco_evaluator import DEFAULT_EVALUATOR, EvaluatorName
from sightline.metrics.label_errors import CONFIDENT_FROM, Suspect
from sightline.metrics.statistic import Statistic
from sightline.names import NameTable
from sightline.report.sections import Remark, Section, Text
from sightline.tasks.base import Prediction

if TYPE_CHECKING:
    from PIL.Image import Image

EVALUATORS = NameTable("task", dict.fromkeys(TASK_NAMES, "sightline.tasks.*.evaluator:EVALUATOR"))
"""Makes an :class:`Evaluator` from the name of a reading, class names by category id and, for a task that needs
keypoints, a :class:`KeypointSchema`."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """The measurement of one model on one split.

    Attributes:
        metrics: Metrics by name, 0 to 1; metrics that cannot be computed are absent.
        sections: Page sections.
        remarks: Image id -> remark on the image; an image without an entry has no mistakes.
        note: How the metrics were computed, in full sentences.
        statistics: Metric -> its value by how often each image counts; a metric without one has no interval.
        class_statistics: Metric -> class -> the same for a single class.
        obstacles: Metric -> why it has no value, as a clause, although its truth exists: its code failed.
    """

    metrics: dict[str, float]
    sections: Sequence[Section] = ()
    remarks: Mapping[int, Remark] = field(default_factory=dict)
    note: str = ""
    statistics: Mapping[str, Statistic] = field(default_factory=dict)
    class_statistics: Mapping[str, Mapping[str, Statistic]] = field(default_factory=dict)
    obstacles: Mapping[str, str] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """The measurement as JSON values for ``summary.json``."""
        sections = [section.model_dump(mode="json") for section in self.sections]
        return {"metrics": self.metrics, "note": self.note, "sections": sections}

    def remark(self, image_id: int) -> Remark:
        """The remark on an image."""
        return self.remarks.get(image_id, Remark())


class Evaluator(Protocol):
    """Measures, draws and describes the predictions of a task.

    Attributes:
        prediction: The prediction type of the task.
    """

    prediction: type[Prediction]

    def for_classes(self, names: Sequence[str]) -> Self:
        """The evaluator for some of the classes; metrics that need other classes are left out."""
        ...

    def measure(self, truth: CocoDocument, predictions: Sequence[Any], score_threshold: float) -> Measurement:
        """Compute all metrics.

        Args:
            truth: One split.
            predictions: One per image, with all scores.
            score_threshold: Lowest score that counts where a decision is needed, such as in a confusion matrix.

        Raises:
            DataError: Truth or predictions are invalid.
        """
        ...

    def suspects(
        self, truth: CocoDocument, predictions: Sequence[Any], *, confident_from: float = CONFIDENT_FROM
    ) -> list[Suspect]:
        """The labels that the predictions contradict, the most suspicious first.

        What is not labeled at all counts as missing, so that predictions can be suggested as labels.

        Args:
            truth: One split.
            predictions: One per image, with all scores.
            confident_from: The score from which on a prediction is confident if the truth cannot tell.
        """
        ...

    def uncertainty(self, prediction: Any) -> float:  # noqa: ANN401
        """How much the label of an image would tell the model, 0 to 1, from the prediction with all scores."""
        ...

    def describe(self, prediction: Any, *, brief: bool = False) -> dict[str, Any]:  # noqa: ANN401
        """A prediction as human-readable JSON values.

        Args:
            prediction: The prediction for one image, already filtered by score.
            brief: Round numbers for display.
        """
        ...

    def texts(self, description: Mapping[str, Any]) -> list[Text]:
        """The texts of a description to show below a drawn image without truth; may be empty."""
        ...

    def line(self, description: Mapping[str, Any]) -> str:
        """A description summarized in a few words."""
        ...

    def draw(self, image: Image, prediction: Any) -> Image:  # noqa: ANN401
        """Draw a prediction on a copy of the image."""
        ...

    def draw_truth(self, image: Image, annotations: Sequence[CocoAnnotation], labels: Sequence[int] = ()) -> Image:
        """Draw the truth on a copy of the image, in the same way as :meth:`draw`.

        Args:
            image: RGB.
            annotations: The objects of the image.
            labels: Category ids of the classes of the whole image.
        """
        ...


@runtime_checkable
class UsesCoco(Protocol):
    """An evaluator that computes COCO's metrics."""

    def with_coco_evaluator(self, name: EvaluatorName) -> Evaluator:
        """The same evaluator with another implementation of COCO's metrics."""
        ...


def open_evaluator(
    task: str,
    reading: str,
    names: Mapping[int, str],
    keypoints: KeypointSchema | None = None,
    coco_evaluator: EvaluatorName = DEFAULT_EVALUATOR,
) -> Evaluator:
    """The evaluator of a task.

    Args:
        task: Name of the task.
        reading: The ``reading`` of the configuration.
        names: Category id -> class name.
        keypoints: The keypoints of the dataset or of the model, for a task that needs keypoints.
        coco_evaluator: The implementation of COCO's metrics, for tasks that compute them.

    Raises:
        ConfigurationError: There is no such task, or classes required by the reading are missing.
        DataError: The task needs keypoints, and there are none.
    """
    make: Callable[..., Evaluator] = EVALUATORS.load(task, "task")
    if task_declaration(task).needs != "keypoints":
        evaluator = make(reading, names)
    elif keypoints is None:
        raise DataError("the training set has no keypoints; set data.keypoints.names, and run record again")
    else:
        evaluator = make(reading, names, keypoints)
    return evaluator.with_coco_evaluator(coco_evaluator) if isinstance(evaluator, UsesCoco) else evaluator
