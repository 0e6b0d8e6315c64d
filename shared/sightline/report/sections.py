"""What a measurement brings to a page: a few kinds of sections, which pages show without knowing the task.

A section is a card with a title.  Of several models those with the same ``id`` share one.  Sections are stored in
``summary.json``, so a new field needs a default.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sightline.plural import counted


class Part(BaseModel):
    """A part of a stored summary: fields that it does not know are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Titled(Part):
    """What every section has.

    Attributes:
        id: Unique among the sections of a model; links lead there.
        title: The heading.
        link: What the list of sections at the top of a page calls it; empty: the title.
        lead: What is shown, on what conditions; full sentences.
        missing: What to say where there is nothing to show.
    """

    id: str
    title: str
    link: str = ""
    lead: str = ""
    missing: str = "There is nothing to show."


class TableSection(Titled):
    """Numbers by row and column.

    Attributes:
        head: What a row is.
        counts: The columns with whole numbers; they come first, and what a row lacks is 0.
        columns: The other columns.
        bar: The one of ``columns`` that is drawn as a bar, from 0 to 1; empty: none.
        rows: Name of the row -> column -> value; what a row lacks in ``columns`` is shown as unknown.
    """

    kind: Literal["table"] = "table"
    head: str = "class"
    counts: list[str] = []
    columns: list[str] = []
    bar: str = ""
    rows: dict[str, dict[str, float]] = {}


class Mark(Part):
    """A place on the x axis, from 0 to 1, and what it is."""

    x: float
    text: str


class LineChart(Part):
    """Lines over an axis from 0 to 1, with values from 0 to 1.

    Attributes:
        key: Unique in its section.
        title: What it shows.
        x_label: Name of the x axis.
        y_label: Name of the y axis.
        lines: Name -> values at equal steps of x; None where there is no value.
        mark: Something to point out.
    """

    key: str
    title: str
    x_label: str
    y_label: str
    lines: dict[str, list[float | None]]
    mark: Mark | None = None


class ChartsSection(Titled):
    """A few charts."""

    kind: Literal["charts"] = "charts"
    charts: list[LineChart] = []


class CurvesSection(Titled):
    """A small plot for each class, and their mean in a large one; both axes go from 0 to 1.

    Attributes:
        head: What each small plot is of.
        mean_title: Of the large plot.
        hint: How to read the small ones.
        x_label: Name of the x axis.
        y_label: Name of the y axis.
        lines: Name of a line -> class -> values at equal steps of x.
        values: Name of a line -> class -> the number beside its plot.
        value_name: What these numbers are; where there are too many classes, those with the lowest are shown.
    """

    kind: Literal["curves"] = "curves"
    head: str = "class"
    mean_title: str = ""
    hint: str = ""
    x_label: str = ""
    y_label: str = ""
    lines: dict[str, dict[str, list[float]]] = {}
    values: dict[str, dict[str, float | None]] = {}
    value_name: str = ""


class ConfusionSection(Titled):
    """Counts; rows are the truth, columns what was predicted.

    Attributes:
        labels: Of rows and columns.
        matrix: As many rows and columns as labels.
    """

    kind: Literal["confusion"] = "confusion"
    labels: list[str] = []
    matrix: list[list[int]] = []

    @model_validator(mode="after")
    def _is_square(self) -> Self:
        if {len(self.matrix), *map(len, self.matrix)} != {len(self.labels)}:
            raise ValueError(f"a matrix with as many rows and columns as there are labels ({len(self.labels)})")
        return self


class Number(Part):
    """A whole number with its name, and a note such as what it is a part of."""

    name: str
    value: int
    note: str = ""


class Text(Part):
    """A text that was predicted or is true, and what kind of text it is."""

    text: str
    note: str = ""


class Answer(Part):
    """The texts of one image, true and predicted, and whether they are right as a whole."""

    image: str
    truth: list[Text] = []
    predicted: list[Text] = []
    right: bool = False


class AnswersSection(Titled):
    """Images whose predicted texts are right or wrong, the wrong ones first.

    Attributes:
        noun: What a text is, such as ``plate``.
        verb: What was done to get one, such as ``read``.
        numbers: The sums.
        examples: One entry an image.
    """

    kind: Literal["answers"] = "answers"
    noun: str = "text"
    verb: str = "predicted"
    numbers: list[Number] = []
    examples: list[Answer] = []


class ImagesSection(Titled):
    """The drawn images of the summary, prediction beside truth."""

    kind: Literal["images"] = "images"


Section = Annotated[
    TableSection | ChartsSection | CurvesSection | ConfusionSection | AnswersSection | ImagesSection,
    Field(discriminator="kind"),
]

DRAWN_IMAGES = ImagesSection(
    id="predictions",
    title="Predictions next to the truth",
    link="Predictions",
    lead="Images with the most mistakes first. Click an image to enlarge it.",
    missing="No image was drawn.",
)


class Remark(Part):
    """What is to be said of one drawn image.

    Attributes:
        mistakes: How many; images with many are drawn and shown first.
        text: For a caption.
    """

    mistakes: int = 0
    text: str = ""


def object_remark(*, confused: int, missed: int, false: int, truths: int) -> Remark:
    """The remark on an image with objects: how many were taken for another class, missed, or found where nothing is.

    Args:
        confused: Truths that were taken for another class.
        missed: Truths without a prediction.
        false: Predictions where nothing is.
        truths: All truths of the image.

    Example:
        >>> object_remark(confused=1, missed=0, false=2, truths=5).text
        '1 of a wrong class, 2 false detections (5 objects)'
    """
    names = (("missed", missed), ("of a wrong class", confused))
    parts = [f"{number} {name}" for name, number in names if number]
    parts += [counted(false, "false detection")] if false else []
    return Remark(
        mistakes=confused + missed + false, text=f"{', '.join(parts) or 'no mistake'} ({counted(truths, 'object')})"
    )


def at_score(threshold: float | None) -> str:
    """A score threshold as text; documents of before have none."""
    if threshold is None:
        return "score threshold as configured"
    return f"score \N{GREATER-THAN OR EQUAL TO} {threshold:g}"
