"""Measures, draws and describes classifications."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from sightline.config.labels import SINGLE_SET
from sightline.data.formats.coco import CocoAnnotation, CocoDocument
from sightline.metrics.label_errors import CONFIDENT_FROM, Suspect
from sightline.metrics.uncertainty import class_uncertainty
from sightline.report.drawing.caption import CaptionLine, draw_caption
from sightline.report.drawing.draw import class_colour
from sightline.report.drawing.lettering import printable
from sightline.report.sections import Text
from sightline.tasks.classification.label_errors import classification_suspects
from sightline.tasks.classification.measurement import measure_classifications
from sightline.tasks.classification.naming import set_and_class
from sightline.tasks.classification.prediction import Classification
from sightline.tasks.evaluators import Measurement
from sightline.tasks.suspects import with_suspects

if TYPE_CHECKING:
    from PIL.Image import Image

_NONE = "no class"


class ClassificationEvaluator:
    """The evaluator of classification.

    Args:
        reading: Always ``none``: nothing is read from classes.
        names: Category id -> class name, as in ``data.classes``.

    Attributes:
        prediction: The type of the predictions.
    """

    prediction = Classification

    def __init__(self, reading: str, names: Mapping[int, str]) -> None:
        self._reading, self._names = reading, names

    def for_classes(self, names: Sequence[str]) -> Self:
        """The evaluator for some of the classes."""
        return type(self)(self._reading, {id_: name for id_, name in self._names.items() if name in names})

    def measure(
        self,
        truth: CocoDocument,
        predictions: Sequence[Classification],
        score_threshold: float,  # noqa: ARG002
    ) -> Measurement:
        """All metrics; a score threshold changes none of them.

        See :func:`sightline.tasks.classification.measurement.measure_classifications`.
        """
        return with_suspects(measure_classifications(truth, predictions), truth, self.suspects(truth, predictions))

    def suspects(
        self,
        truth: CocoDocument,
        predictions: Sequence[Classification],
        *,
        confident_from: float = CONFIDENT_FROM,  # noqa: ARG002
    ) -> list[Suspect]:
        """See :func:`sightline.tasks.classification.label_errors.classification_suspects`."""
        return classification_suspects(truth, predictions)

    def uncertainty(self, prediction: Classification) -> float:
        """The uncertainty of the label set that the model is least sure of."""
        return max(class_uncertainty(one.probabilities, multiple=one.multiple) for one in prediction.label_sets)

    def describe(self, prediction: Classification, *, brief: bool = False) -> dict[str, Any]:
        """A classification as JSON values.

        Args:
            prediction: The classification of one image.
            brief: Round probabilities to four digits.

        Returns:
            ``classes``: label set -> classes that apply (none of them if no class is probable enough);
            ``probabilities``: label set -> class -> probability, 0 to 1.  A single label set has the name ``class``.
        """
        classes: dict[str, list[str]] = {}
        probabilities: dict[str, dict[str, float]] = {}
        for one in prediction.label_sets:
            ids = one.category_ids.tolist()
            label_set, names = set_and_class(self._names, ids, several=len(prediction.label_sets) > 1)
            values = one.probabilities.tolist()
            chosen = one.chosen(prediction.lowest)
            classes[label_set] = [name for name, id_ in zip(names, ids, strict=True) if id_ in chosen]
            probabilities[label_set] = {
                name: round(value, 4) if brief else value for name, value in zip(names, values, strict=True)
            }
        return {"classes": classes, "probabilities": probabilities}

    def texts(self, description: Mapping[str, Any]) -> list[Text]:
        """The classes with their probabilities, by label set."""
        return [
            Text(text=text, note="" if label_set == SINGLE_SET else label_set)
            for label_set, text in _answers(description).items()
        ]

    def line(self, description: Mapping[str, Any]) -> str:
        """The classes with their probabilities."""
        answers = _answers(description)
        return ", ".join(text if name == SINGLE_SET else f"{name}: {text}" for name, text in answers.items())

    def draw(self, image: Image, prediction: Classification) -> Image:
        """Write the predicted classes with their probabilities below the image."""
        answers = _answers(self.describe(prediction))
        lines = []
        for one, (label_set, text) in zip(prediction.label_sets, answers.items(), strict=True):
            chosen = one.chosen(prediction.lowest)
            lines.append(_line(label_set, text, chosen[0] if chosen else None))
        return draw_caption(image, lines)

    def draw_truth(
        self,
        image: Image,
        annotations: Sequence[CocoAnnotation],  # noqa: ARG002
        labels: Sequence[int] = (),
    ) -> Image:
        """Write the true classes below the image."""
        return draw_caption(
            image, [_line(SINGLE_SET, self._names[id_], id_) for id_ in labels] or [_line(SINGLE_SET, _NONE, None)]
        )


def _answers(description: Mapping[str, Any]) -> dict[str, str]:
    """Label set -> its classes with their probabilities as text."""
    answers = {}
    for label_set, chosen in description["classes"].items():
        scores = description["probabilities"][label_set]
        answers[label_set] = ", ".join(f"{name} {scores[name] * 100:.0f} %" for name in chosen) or _NONE
    return answers


def _line(label_set: str, text: str, category_id: int | None) -> CaptionLine:
    shown = text if label_set == SINGLE_SET else f"{label_set}: {text}"
    return CaptionLine(printable(shown, "?"), None if category_id is None else class_colour(category_id))


EVALUATOR = ClassificationEvaluator
