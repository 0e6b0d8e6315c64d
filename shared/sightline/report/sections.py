"""The page sections of a measurement: a few kinds of sections that pages show independently of the task.

A section is a card with a title; sections of several models with the same ``id`` share a card.  Sections are stored
in ``summary.json``, so every new field needs a default.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sightline.plural import counted


class Part(BaseModel):
    """A part of a stored summary; unknown fields are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Titled(Part):
    """The fields of every section.

    Attributes:
        id: Unique among the sections of a model; the anchor of links.
        title: The heading.
        link: Short title for the navigation at the top of a page; empty: the title.
        lead: Description of the contents, in full sentences.
        missing: Text to show if there are no values.
    """

    id: str
    title: str
    link: str = ""
    lead: str = ""
    missing: str = "No values."


class TableSection(Titled):
    """Numbers by row and column.

    Attributes:
        head: Heading of the column with the names of the rows.
        counts: Columns with whole numbers; they come first, and a missing value is 0.
        columns: The other columns.
        bar: The column that is also drawn as a bar, from 0 to 1; empty: none.
        rows: Name of the row -> column -> value; a missing value of ``columns`` is shown as unknown.
    """

    kind: Literal["table"] = "table"
    head: str = "class"
    counts: list[str] = []
    columns: list[str] = []
    bar: str = ""
    rows: dict[str, dict[str, float]] = {}


class Mark(Part):
    """A position on the x axis, from 0 to 1, and its label."""

    x: float
    text: str


class LineChart(Part):
    """Lines over an x axis from 0 to 1, with values from 0 to 1.

    Attributes:
        key: Unique in its section.
        title: Title of the chart.
        x_label: Name of the x axis.
        y_label: Name of the y axis.
        lines: Name -> values at equally spaced x; None where there is no value.
        mark: A position to mark.
        thresholds: The score threshold at each x, if there is one: of a ROC curve, for Kubeflow's dashboard.
        x: The x of the values, increasing; empty: equally spaced from 0 to 1.
        diagonal: Name of a diagonal that is drawn for comparison; empty: none.
    """

    key: str
    title: str
    x_label: str
    y_label: str
    lines: dict[str, list[float | None]]
    mark: Mark | None = None
    thresholds: list[float] = Field([], exclude_if=lambda values: not values)
    x: list[float] = Field([], exclude_if=lambda values: not values)
    diagonal: str = Field("", exclude_if=lambda name: not name)


class ChartsSection(Titled):
    """A few charts."""

    kind: Literal["charts"] = "charts"
    charts: list[LineChart] = []


class Histogram(Part):
    """Numbers of several kinds in bins of equal width from 0 to 1, on top of each other.

    Attributes:
        key: Unique in its section.
        title: Title of the chart.
        x_label: Name of the x axis.
        y_label: Name of the y axis.
        bars: Name of a kind -> its number in each bin, 0 or more.
        note: A remark below the chart.
    """

    key: str
    title: str
    x_label: str
    y_label: str
    bars: dict[str, list[float]]
    note: str = ""


class HistogramsSection(Titled):
    """A few histograms."""

    kind: Literal["histograms"] = "histograms"
    histograms: list[Histogram] = []


class Interval(Part):
    """A value with its interval.

    Attributes:
        name: Name of the row.
        value: None if it is unknown.
        low: Lower end of the interval; None if there is none.
        high: Upper end.
        count: Number of images, or of what the section counts; None: unknown.
        tone: ``bad`` and ``good`` mark a row that matters.
        note: A remark.
    """

    name: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    count: int | None = None
    tone: Literal["", "bad", "good"] = ""
    note: str = ""


class IntervalsSection(Titled):
    """Values with intervals, each drawn as a dot with a whisker on a common axis.

    Attributes:
        head: Heading of the column with the names of the rows.
        count_name: Heading of the column with the counts; empty: there is none.
        value_name: Name of the values.
        reference: A value to compare with, drawn as a line through all rows; None: there is none.
        reference_name: Its name.
        signed: Whether the values are differences, shown with their sign.
        verdict: What the values say, in one sentence.
        rows: The values in the order to show them.
        notes: Remarks below the table, in full sentences.
    """

    kind: Literal["intervals"] = "intervals"
    head: str = "slice"
    count_name: str = "images"
    value_name: str = "value"
    reference: float | None = None
    reference_name: str = ""
    signed: bool = False
    verdict: str = ""
    rows: list[Interval] = []
    notes: list[str] = []


class CurvesSection(Titled):
    """A small plot for each class, and a large plot of their mean; both axes go from 0 to 1.

    Attributes:
        head: The subject of a small plot, such as ``class``.
        mean_title: Title of the large plot.
        hint: How to read the small plots.
        x_label: Name of the x axis.
        y_label: Name of the y axis.
        lines: Name of a line -> class -> values at equally spaced x.
        values: Name of a line -> class -> the number beside its plot.
        value_name: Name of these numbers; if there are too many classes, those with the lowest numbers are shown.
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
    """A confusion matrix of counts; rows are the truth, columns the predictions.

    Attributes:
        labels: Labels of the rows and the columns.
        matrix: Counts [len(labels)][len(labels)].
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
    """A whole number with its name, and a note such as the total it is a part of."""

    name: str
    value: int
    note: str = ""


class Text(Part):
    """A predicted or true text, and a note such as its kind."""

    text: str
    note: str = ""


class Answer(Part):
    """The true and predicted texts of one image, and whether the image is right as a whole."""

    image: str
    truth: list[Text] = []
    predicted: list[Text] = []
    right: bool = False


class AnswersSection(Titled):
    """Images with predicted texts, the wrong ones first.

    Attributes:
        noun: Name of a text, such as ``plate``.
        verb: Past participle for how texts are obtained, such as ``read``.
        by_character: Whether a predicted text is compared with the most similar true text character by character; if
            not, as a whole, with the true text at the same position.
        numbers: The totals.
        examples: One entry per image.
    """

    kind: Literal["answers"] = "answers"
    noun: str = "text"
    verb: str = "predicted"
    by_character: bool = True
    numbers: list[Number] = []
    examples: list[Answer] = []


class ImagesSection(Titled):
    """The drawn images of the summary, prediction next to truth."""

    kind: Literal["images"] = "images"


Section = Annotated[
    TableSection
    | ChartsSection
    | HistogramsSection
    | IntervalsSection
    | CurvesSection
    | ConfusionSection
    | AnswersSection
    | ImagesSection,
    Field(discriminator="kind"),
]

DRAWN_IMAGES = ImagesSection(
    id="predictions",
    title="Predictions next to the truth",
    link="Predictions",
    lead="Images with the most mistakes first. Click an image to enlarge it.",
    missing="No images were drawn.",
)


class Remark(Part):
    """A remark on one drawn image.

    Attributes:
        mistakes: Number of mistakes; images with many are drawn and shown first.
        text: Text for the caption.
    """

    mistakes: int = 0
    text: str = ""


def object_remark(*, confused: int, missed: int, false: int, truths: int, misread: str = "") -> Remark:
    """The remark on an image with objects: the number of confused, missed and false detections.

    Args:
        confused: Number of true objects predicted as another class.
        missed: Number of true objects without a prediction.
        false: Number of predictions without a true object.
        truths: Number of all true objects in the image.
        misread: What was read wrongly, such as ``plate``; empty: nothing.

    Example:
        >>> object_remark(confused=1, missed=0, false=2, truths=5).text
        '1 of a wrong class, 2 false detections (5 objects)'
    """
    names = (("missed", missed), ("of a wrong class", confused))
    parts = [f"{number} {name}" for name, number in names if number]
    parts += [counted(false, "false detection")] if false else []
    parts += [f"{misread} misread"] if misread else []
    return Remark(
        mistakes=confused + missed + false + bool(misread),
        text=f"{', '.join(parts) or 'no mistake'} ({counted(truths, 'object')})",
    )


def at_score(threshold: float | None) -> str:
    """A score threshold as text; older documents have none."""
    if threshold is None:
        return "score threshold as configured"
    return f"score \N{GREATER-THAN OR EQUAL TO} {threshold:g}"
