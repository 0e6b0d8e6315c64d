"""Everything that evaluate, test and predict tell of a model, by task.

Apart from :mod:`sightline.tasks.base`, so that a change of what is measured after training trains nothing again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, Self

from sightline.config.task_declarations import TASK_NAMES
from sightline.data.formats.coco import CocoAnnotation, CocoDocument
from sightline.names import NameTable
from sightline.report.sections import Remark, Section, Text
from sightline.tasks.base import Prediction

if TYPE_CHECKING:
    from PIL.Image import Image

EVALUATORS = NameTable("task", dict.fromkeys(TASK_NAMES, "sightline.tasks.*.evaluator:EVALUATOR"))
"""What makes an :class:`Evaluator` of a reading and of class names by category id."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """One model on one split.

    Attributes:
        metrics: By name, 0 to 1; what cannot be computed is left out.
        sections: What a page shows of it.
        remarks: What is to be said of each image, by its id; an image without an entry has no mistake.
        note: On what conditions the metrics were computed, full sentences.
    """

    metrics: dict[str, float]
    sections: Sequence[Section] = ()
    remarks: Mapping[int, Remark] = field(default_factory=dict)
    note: str = ""

    def document(self) -> dict[str, Any]:
        """The measurement as JSON values, as ``summary.json`` has it."""
        sections = [section.model_dump(mode="json") for section in self.sections]
        return {"metrics": self.metrics, "note": self.note, "sections": sections}

    def remark(self, image_id: int) -> Remark:
        """What is to be said of an image."""
        return self.remarks.get(image_id, Remark())


class Evaluator(Protocol):
    """Measures, draws and describes predictions of a task, whose own kind of prediction it takes.

    Attributes:
        prediction: That kind.
    """

    prediction: type[Prediction]

    def for_classes(self, names: Sequence[str]) -> Self:
        """The same on some of the classes; what needs others is left out."""
        ...

    def measure(self, truth: CocoDocument, predictions: Sequence[Any], score_threshold: float) -> Measurement:
        """Compute every metric.

        Args:
            truth: One split.
            predictions: One an image, of every score.
            score_threshold: What is less sure counts for nothing that needs a decision, such as a confusion matrix.

        Raises:
            DataError: Truth or predictions that cannot be measured.
        """
        ...

    def describe(self, prediction: Any, *, brief: bool = False) -> dict[str, Any]:  # noqa: ANN401
        """A prediction as JSON values for people and other programs.

        Args:
            prediction: Of one image, without what is not sure enough.
            brief: Whether numbers are rounded to what a person needs.
        """
        ...

    def texts(self, description: Mapping[str, Any]) -> list[Text]:
        """What a description says that belongs below a drawn image without truth; may be empty."""
        ...

    def line(self, description: Mapping[str, Any]) -> str:
        """What a description says, in a few words."""
        ...

    def draw(self, image: Image, prediction: Any) -> Image:  # noqa: ANN401
        """An image with what was predicted; the given one is not changed."""
        ...

    def draw_truth(self, image: Image, annotations: Sequence[CocoAnnotation]) -> Image:
        """An image with what is true, as :meth:`draw` shows it; the given one is not changed."""
        ...


def open_evaluator(task: str, reading: str, names: Mapping[int, str]) -> Evaluator:
    """What measures, draws and describes the predictions of a task.

    Args:
        task: Its name.
        reading: As in the configuration.
        names: Category id -> class.

    Raises:
        ConfigurationError: There is no such task, or classes are missing that the reading needs.
    """
    make: Callable[[str, Mapping[int, str]], Evaluator] = EVALUATORS.load(task, "task")
    return make(reading, names)
