"""The view of a measured model on pages: its sections, prepared for the templates independently of the task."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from sightline.report.charts import Chart
from sightline.report.pages.chart_views import MAX_CLASSES, CurvesView, charts_view, curves_view, histograms_view
from sightline.report.pages.interval_view import IntervalsView, intervals_view
from sightline.report.pages.summary import DrawnImage, Summary
from sightline.report.sections import (
    DRAWN_IMAGES,
    Answer,
    AnswersSection,
    ChartsSection,
    ConfusionSection,
    CurvesSection,
    HistogramsSection,
    ImagesSection,
    IntervalsSection,
    Section,
    TableSection,
    Text,
)

_WRONG_ANSWERS = 30
_RIGHT_ANSWERS = 8
_CONFUSED_PAIRS = 50
_NAMED_PAIRS = 8
"""Number of confused pairs that are named below a matrix."""
_DETAILS = frozenset(
    {"roc", "roc-classes", "confidence", "scores", "calibration", "thresholds", "curves", "recall", "sizes"}
)
"""Sections that are shown last: what a model gets wrong comes before curves and thresholds."""


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
        pairs: (true class, predicted class, count), the most frequent mistakes first.
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


SectionView = (
    TableSection
    | list[Chart]
    | list[tuple[Chart, str]]
    | IntervalsView
    | CurvesView
    | ConfusionView
    | AnswersView
    | list[DrawnImage]
)
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
    """The sections of the models that a page shows, one per id, for heading and lead; details come last.

    There is always a section of drawn images, even if no measurement has one.
    """
    found: dict[str, Section] = {}
    for name in summary.shown():
        for section in summary.models[name].sections:
            found.setdefault(section.id, section)
    drawn = summary.drawn or summary.unlabelled
    if drawn and not any(section.kind == DRAWN_IMAGES.kind for section in found.values()):
        found.setdefault(DRAWN_IMAGES.id, DRAWN_IMAGES)
    return sorted(found.values(), key=lambda section: section.id in _DETAILS)


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
    view: SectionView | None
    match section:
        case TableSection():
            view = section if section.rows else None
        case ChartsSection():
            view = charts_view(section, key)
        case HistogramsSection():
            view = histograms_view(section, key)
        case IntervalsSection():
            view = intervals_view(section)
        case CurvesSection():
            view = curves_view(section, key)
        case ConfusionSection():
            view = _confusion(section)
        case AnswersSection():
            view = _answers(section, summary, model)
        case ImagesSection():
            view = summary.drawn_by(model)
    return view or None


def _confusion(confusion: ConfusionSection) -> ConfusionView | None:
    if not confusion.labels:
        return None
    if len(confusion.labels) > MAX_CLASSES + 1:
        return ConfusionView(confusion, [], _confused_pairs(confusion)[:_CONFUSED_PAIRS])
    rows = [
        ConfusionRow(label, [(count, count / max(1, sum(row))) for count in row])
        for label, row in zip(confusion.labels, confusion.matrix, strict=False)
    ]
    return ConfusionView(confusion, rows, _confused_pairs(confusion)[:_NAMED_PAIRS])


def _confused_pairs(confusion: ConfusionSection) -> list[tuple[str, str, int]]:
    labels = confusion.labels
    pairs = [
        (labels[row], labels[column], count)
        for row, counts in enumerate(confusion.matrix)
        for column, count in enumerate(counts)
        if count and row != column
    ]
    return sorted(pairs, key=lambda pair: -pair[2])


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
    """The predicted texts in pieces; see :func:`_marked`.  A text that was said too often is marked as a whole."""
    left = Counter(true.text for true in answer.truth)
    marked = []
    for text in answer.predicted:
        too_often = left.get(text.text) == 0
        if left[text.text]:
            left[text.text] -= 1
        marked.append([(text.text, False)] if too_often else _marked(text.text, answer.truth))
    return marked


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
