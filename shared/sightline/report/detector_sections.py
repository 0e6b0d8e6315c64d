"""The page sections of a detector: metrics of its boxes, or boxes and masks, and of the texts read from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sightline.report.reading_sections import reading_error_sections
from sightline.report.sections import (
    DRAWN_IMAGES,
    Answer,
    AnswersSection,
    ChartsSection,
    ConfusionSection,
    CurvesSection,
    LineChart,
    Mark,
    Number,
    Section,
    TableSection,
    Text,
    at_score,
)
from sightline.report.wording import count_text

_CONFIDENCE_TITLES = {
    "box": "Boxes at IoU 0.5, all classes together",
    "mask": "Masks at IoU 0.5, all classes together",
}


_SIZE_COLUMNS = tuple(f"{metric} {size}" for metric in ("AP", "AR") for size in ("small", "medium", "large"))
_NUMBER = {"box": "boxes", "mask": "masks"}
_LOST = {overlap: f"AP50 lost, {noun}" for overlap, noun in _NUMBER.items()}


def detector_note(*, divided: bool, reads: bool, score_threshold: float | None) -> str:
    """How the metrics of a detector were computed, as a note for pages.

    Args:
        divided: Whether dv_mAP is among them.
        reads: Whether EIR is.
        score_threshold: Lowest score of a detection that is read, 0 to 1; None if unknown.
    """
    note = (
        f"AP: mean over IoU 0.50 to 0.95; AP50 and AP75: at IoU 0.5 and 0.75{'; dv_mAP: at IoU 0.6' if divided else ''}"
    )
    note += ". These metrics use detections of all scores, at most 100 per class and image."
    return f"{note} EIR: {at_score(score_threshold)}." if reads else note


def detector_sections(
    values: Mapping[str, Any], classes: Sequence[str], *, note: str, score_threshold: float | None, noun: str = "plate"
) -> list[Section]:
    """The sections of one detector on one split.

    Args:
        values: JSON values, all optional: ``per_class`` (class -> ``instances`` and metrics),
            ``curves`` (``box``, ``mask`` -> class -> precision at recall 0, 0.01, ..., 1, at IoU 0.5), ``confidence``
            (``box``, ``mask`` -> precision, recall and F1 at score thresholds from 0 to 1), ``errors`` (``box``,
            ``mask`` -> what an error means -> ``number`` and ``AP50 lost``), ``recall_at_precision`` (class -> column
            -> value), ``sizes`` (class -> metric and size -> value), ``confusion`` and ``readings``.
        classes: Class names in the order in which curves are shown; curves of other classes follow.
        note: From :func:`detector_note`.
        score_threshold: Lowest score of detections in the confusion matrix and in readings, 0 to 1; None if unknown.
        noun: The kind of text that is read.
    """
    score = at_score(score_threshold)
    sections: list[Section] = [
        _per_class(values.get("per_class", {}), note),
        ChartsSection(
            id="confidence",
            title="Precision, recall and F1 by score",
            link="By score",
            lead="The effect of the score threshold; the threshold with the highest F1 is marked.",
            missing="No values by score: this summary was written by an earlier release.",
            charts=[_by_score(overlap, curve) for overlap, curve in values.get("confidence", {}).items()],
        ),
        *_errors(values.get("errors", {})),
        _precision_over_recall(values, classes),
        *_recall_at_precision(values.get("recall_at_precision", {})),
        *_by_size(values.get("sizes", {})),
        ConfusionSection(
            id="confusion",
            title="Confusion",
            lead=f"Boxes at IoU 0.5, {score}.",
            missing="No confusion matrix.",
            **(values.get("confusion") or {}),
        ),
        DRAWN_IMAGES,
    ]
    readings = values.get("readings")
    if readings is not None:
        sections.append(_readings(readings, noun, score))
        if errors := readings.get("errors"):
            sections += reading_error_sections(errors, noun, score)
    return sections


def read_texts(readings: Sequence[Mapping[str, Any]]) -> list[Text]:
    """The texts read in an image, each with its kind.

    Args:
        readings: As :meth:`sightline.metrics.exact_match.Reading.document` gives them.
    """
    return [_text(reading) for reading in readings]


def _per_class(rows: dict[str, dict[str, float]], note: str) -> TableSection:
    """The average precisions in the order measured; bars of AP, because AP50 is 1 for many classes."""
    names = dict.fromkeys(name for row in rows.values() for name in row)
    columns = [name for name in names if name.endswith(("AP", "AP50"))]
    return TableSection(
        id="classes",
        title="Per class",
        link="Classes",
        lead=note,
        missing="No values per class.",
        counts=["instances"],
        columns=columns,
        bar=next((name for name in ("mask_AP", "box_AP", "mask_AP50", "box_AP50") if name in columns), ""),
        rows=rows,
    )


def _by_score(overlap: str, curve: Mapping[str, Any]) -> LineChart:
    best_f1, threshold = max(curve.get("f1", []), default=0.0), curve.get("best_threshold", 0.0)
    return LineChart(
        key=overlap,
        title=_CONFIDENCE_TITLES.get(overlap, overlap),
        x_label="score threshold",
        y_label="precision, recall, F1",
        lines={name: curve.get(name.lower(), []) for name in ("precision", "recall", "F1")},
        mark=Mark(x=threshold, text=f"best F1 {best_f1:.3f} at {threshold:g}"),
    )


def _errors(values: Mapping[str, Mapping[str, Mapping[str, float]]]) -> list[Section]:
    """What each kind of error costs; nothing in summaries of earlier releases and without truth."""
    if not values:
        return []
    rows: dict[str, dict[str, float]] = {}
    for overlap, kinds in values.items():
        for kind, numbers in kinds.items():
            row = {_NUMBER[overlap]: numbers["number"], _LOST[overlap]: numbers["AP50 lost"]}
            rows[kind] = rows.get(kind, {}) | row
    return [
        TableSection(
            id="errors",
            title="Where it fails",
            link="Errors",
            lead="Errors at IoU 0.5, and how much AP50 the model would gain if only errors of this kind were fixed. "
            "Detections of all scores are counted; many with low scores may cost little. A place is inexact at IoU 0.1 "
            "to 0.5; below 0.1 nothing is there. The definitions are those of TIDE.",
            missing="No errors.",
            head="kind of error",
            counts=[_NUMBER[overlap] for overlap in values],
            columns=[_LOST[overlap] for overlap in values],
            bar=_LOST[list(values)[-1]],
            rows=rows,
        )
    ]


def _recall_at_precision(rows: dict[str, dict[str, float]]) -> list[Section]:
    """Which share of the objects is found while few detections are wrong; nothing in summaries of earlier releases."""
    if not rows:
        return []
    return [
        TableSection(
            id="recall",
            title="Recall at fixed precision",
            link="Recall",
            lead="The share of the objects that is found if the score threshold is so high that at least 90 % (P90) or "
            "95 % (P95) of the detections are right, at IoU 0.5; and that threshold.",
            missing="No recall at fixed precision.",
            columns=sorted({name for row in rows.values() for name in row}, key=lambda name: (name.split()[-1], name)),
            rows=rows,
        )
    ]


def _by_size(rows: dict[str, dict[str, float]]) -> list[Section]:
    """How well small and large objects are found; nothing in summaries of earlier releases and without truth."""
    if not rows:
        return []
    measured = {name for row in rows.values() for name in row}
    return [
        TableSection(
            id="sizes",
            title="By size of the objects",
            link="Sizes",
            lead="AP and the highest recall (AR), mean over IoU 0.50 to 0.95, for objects up to 32 x 32 pixels, up to "
            "96 x 96, and larger.",
            missing="No values by size.",
            columns=[name for name in _SIZE_COLUMNS if name in measured],
            rows=rows,
        )
    ]


def _precision_over_recall(values: Mapping[str, Any], classes: Sequence[str]) -> CurvesSection:
    rows = values.get("per_class", {})
    lines = {}
    for overlap, curves in values.get("curves", {}).items():
        if curves:
            ordered = dict.fromkeys([*classes, *curves])
            lines[overlap] = {name: curves[name] for name in ordered if name in curves}
    return CurvesSection(
        id="curves",
        title="Precision and recall",
        link="PR curves",
        lead="At IoU 0.5, over all scores.",
        missing="No precision-recall curves.",
        mean_title="Mean precision of all classes at IoU 0.5",
        hint="Precision (y axis) over recall (x axis), both 0 to 1, at IoU 0.5",
        x_label="recall",
        y_label="precision",
        lines=lines,
        values={
            overlap: {name: rows.get(name, {}).get(f"{overlap}_AP50") for name in curves}
            for overlap, curves in lines.items()
        },
        value_name="AP50",
    )


def _readings(readings: Mapping[str, Any], noun: str, score: str) -> AnswersSection:
    true, read = readings.get("true", 0), readings.get("read", 0)
    return AnswersSection(
        id="readings",
        title=f"{noun.capitalize()} readings",
        link=f"{noun.capitalize()}s",
        lead=f"Wrong readings first, {score}; characters that differ from the truth are marked.",
        missing="The summary has no readings of this model.",
        noun=noun,
        verb="read",
        numbers=[
            Number(name="read exactly", value=read, note=f"of {count_text(true)} {noun}s"),
            Number(name="missed or misread", value=true - read, note=f"true {noun}s without a matching reading"),
            Number(name="false readings", value=readings.get("false", 0), note=f"readings without a matching {noun}"),
        ],
        examples=[
            Answer(
                image=example["image"],
                truth=read_texts(example.get("truth", [])),
                predicted=read_texts(example.get("read", [])),
                right=example.get("right", False),
            )
            for example in readings.get("examples", [])
        ],
    )


def _text(reading: Mapping[str, Any]) -> Text:
    texts, kind = reading.get("texts", []), reading.get("kind", "")
    parts = texts.values() if isinstance(texts, Mapping) else texts
    return Text(text=" ".join(parts), note=kind if reading.get("complete", True) else f"{kind}, incomplete")
