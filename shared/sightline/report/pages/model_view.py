"""A measured model as pages show it: curves as paths, confusion as shares, readings with the wrong ones first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sightline.report.charts import Chart, Series, line_chart
from sightline.report.pages.summary import Confusion, DrawnImage, ModelSummary, ReadPlate, Summary

_WRONG_READINGS = 30
_RIGHT_READINGS = 8
MAX_CLASSES = 100
"""Classes whose curves are drawn, and the classes of the largest confusion matrix that is shown whole."""
_CONFUSED_PAIRS = 50


@dataclass(frozen=True, slots=True)
class ClassCurve:
    """Precision over recall of one class, by what is matched: boxes, outlines.

    Attributes:
        name: Of the class.
        paths: SVG path data in a square of 100 x 100; empty where there is no curve.
        ap50: Average precision at IoU 0.5; None where it was not measured.
    """

    name: str
    paths: dict[str, str]
    ap50: dict[str, float | None]


@dataclass(frozen=True, slots=True)
class ConfusionRow:
    """One true class: its counts a predicted class, each with its share of the row (0 to 1)."""

    label: str
    cells: list[tuple[int, float]]


@dataclass(frozen=True, slots=True)
class ReadingRow:
    """One image's plates: the true ones, the read ones as (pieces of text, kind), and the drawn image if any.

    Each piece of a read text comes with whether the most similar true text has it.
    """

    image: str
    truth: list[ReadPlate]
    read: list[tuple[list[tuple[str, bool]], str]]
    right: bool
    drawn: Path | None


@dataclass(frozen=True, slots=True)
class ModelView:
    """One model of a summary, ready for the templates.

    Attributes:
        name: Its name in the summary.
        roles: Why it is shown, such as ``selected by mask_AP``.
        summary: Everything measured.
        class_metrics: Which metrics the per-class table has.
        bar_metric: The one of them that is drawn as bars; empty where there is none.
        curves: One a class that has a curve.
        mean: Mean precision over recall of all classes.
        confidence: Precision, recall and F1 over the score threshold, for each overlap.
        curves_hidden: How many classes with a curve are not in ``curves``, which has those with the lowest AP50 then.
        confusion: Rows of the confusion matrix; empty where there is none, or where it has too many classes.
        confused: Of a matrix with too many classes (true class, predicted class, count), the most frequent first.
        readings: Wrong ones first.
        readings_hidden: How many readings are not in ``readings``.
        drawn: Its drawn images, those with the most mistakes first.
    """

    name: str
    roles: list[str]
    summary: ModelSummary
    class_metrics: list[str]
    bar_metric: str
    curves: list[ClassCurve]
    mean: Chart | None
    confidence: list[Chart]
    curves_hidden: int
    confusion: list[ConfusionRow]
    confused: list[tuple[str, str, int]]
    readings: list[ReadingRow]
    readings_hidden: int
    drawn: list[DrawnImage]


def model_views(summary: Summary, key: str) -> list[ModelView]:
    """The models that a page shows in full; ``key`` tells this summary's ids from others'."""
    return [_model_view(summary, name, roles, key) for name, roles in summary.shown().items()]


def _model_view(summary: Summary, name: str, roles: list[str], key: str) -> ModelView:
    model = summary.models[name]
    readings = _reading_rows(summary, name)
    examples = len(model.readings.examples) if model.readings else 0
    curves = _class_curves(summary.classes, model)
    too_many = model.confusion is not None and len(model.confusion.labels) > MAX_CLASSES + 1
    class_metrics = _columns(model)
    return ModelView(
        name=name,
        roles=roles,
        summary=model,
        class_metrics=class_metrics,
        bar_metric=next((metric for metric in reversed(class_metrics) if metric.endswith("AP50")), ""),
        curves=curves if len(curves) <= MAX_CLASSES else sorted(curves, key=_lowest_ap50)[:MAX_CLASSES],
        curves_hidden=max(0, len(curves) - MAX_CLASSES),
        mean=_mean_chart(f"{key} {name} mean", model),
        confidence=_confidence_charts(f"{key} {name} confidence", model),
        confusion=_confusion_rows(model.confusion) if model.confusion and not too_many else [],
        confused=_confused_pairs(model.confusion) if model.confusion and too_many else [],
        readings=readings,
        readings_hidden=examples - len(readings),
        drawn=summary.drawn_by(name),
    )


def _class_curves(classes: Sequence[str], model: ModelSummary) -> list[ClassCurve]:
    drawn = {overlap: curves for overlap, curves in model.curves.items() if curves}
    known = {name for curves in drawn.values() for name in curves}
    others = dict.fromkeys(name for curves in drawn.values() for name in curves if name not in classes)
    return [
        ClassCurve(
            name,
            {overlap: curve_path(curves.get(name, [])) for overlap, curves in drawn.items()},
            {overlap: model.per_class.get(name, {}).get(f"{overlap}_AP50") for overlap in drawn},
        )
        for name in [*classes, *others]
        if name in known
    ]


def _columns(model: ModelSummary) -> list[str]:
    """The average precisions of the table per class, in the order in which they were measured."""
    names = dict.fromkeys(name for row in model.per_class.values() for name in row)
    return [name for name in names if name.endswith(("AP", "AP50"))]


def curve_path(precisions: Sequence[float]) -> str:
    """SVG path data of values 0 to 1 at equal steps, in a square of 100 x 100 with y downwards.

    Points on the straight line between their neighbours are left out.
    """
    last = max(1, len(precisions) - 1)
    points = [(100 * index / last, 100 - 100 * value) for index, value in enumerate(precisions)]
    kept = [
        point
        for index, point in enumerate(points)
        if index in (0, len(points) - 1) or abs(points[index - 1][1] - 2 * point[1] + points[index + 1][1]) > 1e-6
    ]
    return "M" + "L".join(f"{x:g},{round(y, 2):g}" for x, y in kept) if kept else ""


def _mean_chart(key: str, model: ModelSummary) -> Chart | None:
    series = []
    for name, curves in model.curves.items():
        columns = list(zip(*curves.values(), strict=False))
        if columns:
            steps = max(1, len(columns) - 1)
            recall = [index / steps for index in range(len(columns))]
            series.append(Series(name, recall, [sum(column) / len(column) for column in columns], name == "mask"))
    if not series:
        return None
    title = "Mean precision of all classes at IoU 0.5"
    return line_chart(key, title, series, x_label="recall", y_label="precision", y_limits=(0, 1.03), x_limits=(0, 1))


def _confidence_charts(key: str, model: ModelSummary) -> list[Chart]:
    titles = {"box": "Boxes at IoU 0.5, all classes together", "mask": "Outlines at IoU 0.5, all classes together"}
    charts = []
    for overlap, curve in model.confidence.items():
        lines: dict[str, Sequence[float | None]] = {
            "precision": curve.precision,
            "recall": curve.recall,
            "F1": curve.f1,
        }
        series = [_by_score(name, values) for name, values in lines.items() if any(v is not None for v in values)]
        if series:
            charts.append(
                line_chart(
                    f"{key} {overlap}",
                    titles.get(overlap, overlap),
                    series,
                    x_label="score threshold",
                    y_label="precision, recall, F1",
                    y_limits=(0, 1.03),
                    x_limits=(0, 1),
                    mark=(curve.best_threshold, f"best F1 {curve.best_f1:.3f} at {curve.best_threshold:g}"),
                )
            )
    return charts


def _by_score(name: str, values: Sequence[float | None]) -> Series:
    steps = max(1, len(values) - 1)
    points = [(index / steps, value) for index, value in enumerate(values) if value is not None]
    return Series(name, [x for x, _ in points], [y for _, y in points])


def _confusion_rows(confusion: Confusion) -> list[ConfusionRow]:
    return [
        ConfusionRow(label, [(count, count / max(1, sum(row))) for count in row])
        for label, row in zip(confusion.labels, confusion.matrix, strict=False)
    ]


def _confused_pairs(confusion: Confusion) -> list[tuple[str, str, int]]:
    labels = confusion.labels
    pairs = [
        (labels[row], labels[column], count)
        for row, counts in enumerate(confusion.matrix)
        for column, count in enumerate(counts)
        if count and row != column
    ]
    return sorted(pairs, key=lambda pair: -pair[2])[:_CONFUSED_PAIRS]


def _lowest_ap50(curve: ClassCurve) -> float:
    return next((value for value in curve.ap50.values() if value is not None), 1.0)


def _reading_rows(summary: Summary, name: str) -> list[ReadingRow]:
    readings = summary.models[name].readings
    if readings is None:
        return []
    drawn = {item.image: summary.file(item.prediction) for item in summary.drawn if item.model in (name, "")}
    wrong = [example for example in readings.examples if not example.right][:_WRONG_READINGS]
    right = [example for example in readings.examples if example.right][:_RIGHT_READINGS]
    return [
        ReadingRow(
            example.image,
            example.truth,
            [
                (_marked(plate.text, example.truth), plate.kind if plate.complete else f"{plate.kind}, incomplete")
                for plate in example.read
            ],
            example.right,
            drawn.get(example.image),
        )
        for example in (*wrong, *right)
    ]


def _marked(text: str, truth: Sequence[ReadPlate]) -> list[tuple[str, bool]]:
    """The text in pieces, each with whether the most similar true text has it."""
    from difflib import SequenceMatcher

    matchers = [SequenceMatcher(None, text, plate.text, autojunk=False) for plate in truth]
    if not matchers:
        return [(text, False)]
    nearest = max(matchers, key=lambda matcher: matcher.ratio())
    return [
        (text[start:end], operation == "equal") for operation, start, end, _, _ in nearest.get_opcodes() if end > start
    ]
