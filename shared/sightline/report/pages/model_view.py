"""The view of a measured model on pages: its sections, prepared for the templates independently of the task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from sightline.report.charts import SERIES_COLOURS, Chart, Series, line_chart
from sightline.report.pages.summary import DrawnImage, Summary
from sightline.report.sections import (
    DRAWN_IMAGES,
    Answer,
    AnswersSection,
    ChartsSection,
    ConfusionSection,
    CurvesSection,
    ImagesSection,
    LineChart,
    Section,
    TableSection,
    Text,
)

_WRONG_ANSWERS = 30
_RIGHT_ANSWERS = 8
MAX_CLASSES = 100
"""Maximum number of classes with curves, and of classes in a confusion matrix that is shown completely."""
_CONFUSED_PAIRS = 50
_Y_LIMITS = (0, 1.03)


@dataclass(frozen=True, slots=True)
class ClassCurve:
    """The small plot of one class.

    Attributes:
        name: Name of the class.
        paths: Name of a line of this class -> SVG path data in a square of 100 x 100; empty if there is no curve.
        values: Name of the line -> the number beside it; None if it was not measured.
    """

    name: str
    paths: dict[str, str]
    values: dict[str, float | None]


@dataclass(frozen=True, slots=True)
class CurvesView:
    """A section of curves.

    Attributes:
        section: The measured values.
        mean: Chart of the mean over all classes.
        curves: One entry per class that has a curve; if there are too many, the classes with the lowest numbers.
        hidden: Number of classes that have a curve and are not in ``curves``.
        shared: Whether a class has several lines, so that all but the first are dashed.
        colours: Name of the line -> the index of its color.
    """

    section: CurvesSection
    mean: Chart
    curves: list[ClassCurve]
    hidden: int
    shared: bool
    colours: dict[str, int]


@dataclass(frozen=True, slots=True)
class ConfusionRow:
    """One true class: a count per predicted class, each with its share of the row (0 to 1)."""

    label: str
    cells: list[tuple[int, float]]


@dataclass(frozen=True, slots=True)
class ConfusionView:
    """A confusion matrix.

    Attributes:
        section: The measured values.
        rows: Rows of the matrix; empty if there are too many classes.
        pairs: If there are too many classes: (true class, predicted class, count), the most frequent mistakes first.
    """

    section: ConfusionSection
    rows: list[ConfusionRow]
    pairs: list[tuple[str, str, int]]


@dataclass(frozen=True, slots=True)
class AnswerRow:
    """One image: the true texts, the predicted ones as (pieces of text, note), and the drawn image if any.

    Each piece of a predicted text has a flag: whether it is also in the most similar true text.
    """

    image: str
    truth: list[Text]
    predicted: list[tuple[list[tuple[str, bool]], str]]
    right: bool
    drawn: Path | None


@dataclass(frozen=True, slots=True)
class AnswersView:
    """Predicted texts compared with the truth.

    Attributes:
        section: The measured values.
        rows: The images to show, wrong ones first.
        hidden: Number of images that are not in ``rows``.
    """

    section: AnswersSection
    rows: list[AnswerRow]
    hidden: int


SectionView = TableSection | list[Chart] | CurvesView | ConfusionView | AnswersView | list[DrawnImage]
"""The value passed to the template of a section, by its kind."""


@dataclass(frozen=True, slots=True)
class ModelView:
    """One model of a summary, ready for the templates.

    Attributes:
        name: Name in the summary.
        roles: Reasons why it is shown, such as ``selected by mask_AP``.
        sections: Id of the section -> its value for the template; empty sections are left out.
    """

    name: str
    roles: list[str]
    sections: dict[str, SectionView]


def model_views(summary: Summary, key: str) -> list[ModelView]:
    """The models that a page shows in full; ``key`` is the prefix of HTML ids, unique per summary."""
    return [_model_view(summary, name, roles, key) for name, roles in summary.shown().items()]


def cards(summary: Summary) -> list[Section]:
    """The sections of the models that a page shows, one per id, for heading and lead.

    There is always a section of drawn images, even if no measurement has one.
    """
    found: dict[str, Section] = {}
    for name in summary.shown():
        for section in summary.models[name].sections:
            found.setdefault(section.id, section)
    drawn = summary.drawn or summary.unlabelled
    if drawn and not any(section.kind == DRAWN_IMAGES.kind for section in found.values()):
        found.setdefault(DRAWN_IMAGES.id, DRAWN_IMAGES)
    return list(found.values())


def _model_view(summary: Summary, name: str, roles: list[str], key: str) -> ModelView:
    kinds = {card.id: card.kind for card in cards(summary)}  # all sections of a card have the same kind
    own = {one.id: one for one in summary.models[name].sections if one.kind == kinds.get(one.id)}
    views = {
        card.id: _section_view(own.get(card.id, card), summary, name, key)
        for card in cards(summary)
        if card.id in own or isinstance(card, ImagesSection)
    }
    return ModelView(name, roles, {id_: view for id_, view in views.items() if view is not None})


def _section_view(section: Section, summary: Summary, model: str, key: str) -> SectionView | None:
    key = f"{key} {model} {section.id}"
    match section:
        case TableSection():
            return section if section.rows else None
        case ChartsSection():
            return [drawn for chart in section.charts if (drawn := _chart(f"{key} {chart.key}", chart))] or None
        case CurvesSection():
            return _curves(section, key)
        case ConfusionSection():
            return _confusion(section)
        case AnswersSection():
            return _answers(section, summary, model)
        case ImagesSection():
            return summary.drawn_by(model) or None


def _chart(key: str, chart: LineChart) -> Chart | None:
    lines = [_line(name, values) for name, values in chart.lines.items() if any(v is not None for v in values)]
    if not lines:
        return None
    return line_chart(
        key,
        chart.title,
        lines,
        x_label=chart.x_label,
        y_label=chart.y_label,
        y_limits=_Y_LIMITS,
        x_limits=(0, 1),
        mark=(chart.mark.x, chart.mark.text) if chart.mark else None,
    )


def _line(name: str, values: Sequence[float | None], *, dashed: bool = False) -> Series:
    steps = max(1, len(values) - 1)
    points = [(index / steps, value) for index, value in enumerate(values) if value is not None]
    return Series(name, [x for x, _ in points], [y for _, y in points], dashed)


def _curves(section: CurvesSection, key: str) -> CurvesView | None:
    names = dict.fromkeys(name for curves in section.lines.values() for name in curves)
    shared = len(names) < sum(len(of_class) for of_class in section.lines.values())
    curves = [_class_curve(section, name, everything=shared) for name in names]
    mean = _mean(section, f"{key} mean", dashed=shared)
    if mean is None:
        return None
    shown = curves if len(curves) <= MAX_CLASSES else sorted(curves, key=_lowest_value)[:MAX_CLASSES]
    colours = {line: place % SERIES_COLOURS for place, line in enumerate(section.lines)}
    return CurvesView(section, mean, shown, len(curves) - len(shown), shared, colours)


def _class_curve(section: CurvesSection, name: str, *, everything: bool) -> ClassCurve:
    """The curve of one class: all lines, or only those that have the class."""
    lines = [line for line, of_class in section.lines.items() if everything or name in of_class]
    return ClassCurve(
        name,
        {line: curve_path(section.lines[line].get(name, [])) for line in lines},
        {line: section.values.get(line, {}).get(name) for line in lines},
    )


def _mean(section: CurvesSection, key: str, *, dashed: bool) -> Chart | None:
    lines: list[Series] = []
    for name, curves in section.lines.items():
        columns = list(zip(*curves.values(), strict=False))
        if columns:
            lines.append(_line(name, [sum(column) / len(column) for column in columns], dashed=dashed and bool(lines)))
    if not lines:
        return None
    return line_chart(
        key,
        section.mean_title,
        lines,
        x_label=section.x_label,
        y_label=section.y_label,
        y_limits=_Y_LIMITS,
        x_limits=(0, 1),
    )


def curve_path(values: Sequence[float]) -> str:
    """SVG path data of equally spaced values (0 to 1), in a square of 100 x 100 with y pointing down.

    Points on the straight line between their neighbors are left out.
    """
    last = max(1, len(values) - 1)
    points = [(100 * index / last, 100 - 100 * value) for index, value in enumerate(values)]
    kept = [
        point
        for index, point in enumerate(points)
        if index in (0, len(points) - 1) or abs(points[index - 1][1] - 2 * point[1] + points[index + 1][1]) > 1e-6
    ]
    return "M" + "L".join(f"{x:g},{round(y, 2):g}" for x, y in kept) if kept else ""


def _lowest_value(curve: ClassCurve) -> float:
    return next((value for value in curve.values.values() if value is not None), 1.0)


def _confusion(confusion: ConfusionSection) -> ConfusionView | None:
    if not confusion.labels:
        return None
    if len(confusion.labels) > MAX_CLASSES + 1:
        return ConfusionView(confusion, [], _confused_pairs(confusion))
    rows = [
        ConfusionRow(label, [(count, count / max(1, sum(row))) for count in row])
        for label, row in zip(confusion.labels, confusion.matrix, strict=False)
    ]
    return ConfusionView(confusion, rows, [])


def _confused_pairs(confusion: ConfusionSection) -> list[tuple[str, str, int]]:
    labels = confusion.labels
    pairs = [
        (labels[row], labels[column], count)
        for row, counts in enumerate(confusion.matrix)
        for column, count in enumerate(counts)
        if count and row != column
    ]
    return sorted(pairs, key=lambda pair: -pair[2])[:_CONFUSED_PAIRS]


def _answers(section: AnswersSection, summary: Summary, model: str) -> AnswersView:
    drawn: Mapping[str, Path | None] = {item.image: summary.file(item.prediction) for item in summary.drawn_by(model)}
    wrong = [example for example in section.examples if not example.right][:_WRONG_ANSWERS]
    right = [example for example in section.examples if example.right][:_RIGHT_ANSWERS]
    marked = _marked_characters if section.by_character else _marked_texts
    rows = [_answer_row(example, marked(example), drawn.get(example.image)) for example in (*wrong, *right)]
    return AnswersView(section, rows, len(section.examples) - len(rows))


def _answer_row(answer: Answer, marked: list[list[tuple[str, bool]]], drawn: Path | None) -> AnswerRow:
    predicted = [(pieces, text.note) for pieces, text in zip(marked, answer.predicted, strict=True)]
    return AnswerRow(answer.image, answer.truth, predicted, answer.right, drawn)


def _marked_texts(answer: Answer) -> list[list[tuple[str, bool]]]:
    """The predicted texts, each with a flag: whether the true text at the same position is the same."""
    pairs = zip_longest(answer.predicted, answer.truth[: len(answer.predicted)])
    return [[(text.text, true is not None and text.text == true.text)] for text, true in pairs]


def _marked_characters(answer: Answer) -> list[list[tuple[str, bool]]]:
    """The predicted texts in pieces; see :func:`_marked`."""
    return [_marked(text.text, answer.truth) for text in answer.predicted]


def _marked(text: str, truth: Sequence[Text]) -> list[tuple[str, bool]]:
    """The text in pieces, each with a flag: whether it is also in the most similar true text."""
    from difflib import SequenceMatcher

    matchers = [SequenceMatcher(None, text, true.text, autojunk=False) for true in truth]
    if not matchers:
        return [(text, False)]
    nearest = max(matchers, key=lambda matcher: matcher.ratio())
    return [
        (text[start:end], operation == "equal") for operation, start, end, _, _ in nearest.get_opcodes() if end > start
    ]
