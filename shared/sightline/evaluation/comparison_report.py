"""A comparison of two models for readers: as a page, as CSV, and its result in words."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict

from sightline.config.task_declarations import known_metrics, task_declaration
from sightline.data.images import UnreadableImageError, read_image
from sightline.evaluation.model_comparison import ComparedImage, ComparedModel, ComparedValue, ModelComparison
from sightline.plural import counted
from sightline.report.page import MAX_DRAWN_PIXELS
from sightline.report.pages.comparison_page import ComparisonPage, Side, TellingImage, TellingImages, ValueRow
from sightline.report.pages.summary import is_main_metric
from sightline.report.sections import Interval, IntervalsSection
from sightline.report.wording import metric_text

SHOWN_IMAGES = 12
"""Images that are drawn for each model."""

_SHOWN_VALUES = 12


def shown_values(comparison: ModelComparison) -> list[ComparedValue]:
    """The most important metrics, for a short list."""
    return [one for one in comparison.metrics if is_main_metric(one.name)][:_SHOWN_VALUES]


def verdict(comparison: ModelComparison) -> str:
    """The result in one or two sentences, by the first metric."""
    first = next((one for one in shown_values(comparison) if one.difference is not None), None)
    if first is None or first.difference is None:
        return "The models have no metric in common on these images."
    images = counted(len(comparison.truth["images"]), "image")
    if first.difference == 0:
        return f"Both models have the same {first.name}, {metric_text(first.a)}, on {images}."
    leads = "B" if (first.difference > 0) == first.higher_is_better else "A"
    best, other = (first.b, first.a) if leads == "B" else (first.a, first.b)
    text = f"{first.name} {metric_text(best)} against {metric_text(other)} on {images}"
    if first.low is None or first.high is None or first.better is None:
        return (
            f"{leads} has the better value: {text}. {first.name} has no values per image, so the interval is unknown."
        )
    ends = " to ".join(metric_text(end) for end in sorted((abs(first.low), abs(first.high))))
    if first.sure:
        more = f"That is more than chance: the 95 % interval of the difference, {ends}, does not include 0."
        return f"{leads} is better: {text}. {more}"
    chance = first.better if leads == "B" else 1 - first.better
    return (
        f"{leads} has the better value: {text}. That can be chance: the 95 % interval of the difference includes 0, "
        f"and the probability that {leads} is better is {chance:.2f}."
    )


def comparison_csv(comparison: ModelComparison) -> str:
    """All numbers as CSV: one line for each metric, and for one metric of each class."""
    out = io.StringIO()
    names = ["kind", "metric", "class", "a", "b", "difference", "low", "high", "better"]
    writer = csv.DictWriter(out, names, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for one in comparison.metrics:
        writer.writerow(asdict(one) | {"kind": "metric", "metric": one.name, "class": ""})
    for one in comparison.classes:
        writer.writerow(asdict(one) | {"kind": "class", "metric": comparison.class_metric, "class": one.name})
    return out.getvalue()


def comparison_page(
    comparison: ModelComparison,
    *,
    title: str = "",
    facts: tuple[Mapping[str, str], Mapping[str, str]] = ({}, {}),
    changes: Sequence[tuple[str, str, str]] | None = None,
) -> ComparisonPage:
    """The contents of the page.

    Args:
        comparison: The comparison.
        title: The heading; empty: the names of the models.
        facts: More facts on the first and on the second model.
        changes: Differences of the configurations of two runs: setting, A, B.
    """
    values = shown_values(comparison)
    declared = known_metrics([comparison.a.card.task])
    counts = comparison.counts
    return ComparisonPage(
        title=title or f"{comparison.a.name} and {comparison.b.name}",
        facts={
            "training set": comparison.tag,
            "split": comparison.split,
            "images": str(len(comparison.truth["images"])),
            "task": comparison.a.card.task.replace("_", " "),
        },
        verdict=verdict(comparison),
        sides=[_side("A", comparison.a, facts[0]), _side("B", comparison.b, facts[1])],
        notes=comparison.notes,
        values=_values(values, {name: metric.title for name, metric in declared.items()}),
        differences=_section(
            "differences",
            "Metrics",
            "An interval of B \N{MINUS SIGN} A that does not reach the line shows that one model is better, which is "
            "marked. Otherwise the difference can be chance.",
            "metric",
            values,
        ),
        classes=_section(
            "classes",
            "Classes",
            f"{comparison.class_metric} by class; what B does worst, compared with A, comes first.",
            "class",
            comparison.classes,
        ),
        class_values=_values(comparison.classes, {}),
        counts={
            "only A without a mistake": counts["only_a"],
            "only B without a mistake": counts["only_b"],
            "both without a mistake": counts["both"],
            "both with mistakes": counts["neither"],
        },
        images=[
            _telling(comparison, "b", "Images where B is better"),
            _telling(comparison, "a", "Images where A is better"),
        ],
        changes=changes,
    )


def _side(letter: str, model: ComparedModel, facts: Mapping[str, str]) -> Side:
    own = {"trained on": model.card.training_tag, "sha256": f"{model.sha256[:16]}…"}
    return Side(letter, model.name, {**facts, **own})


def _values(values: Sequence[ComparedValue], titles: Mapping[str, str]) -> list[ValueRow]:
    return [
        ValueRow(one.name, metric_text(one.a), metric_text(one.b), titles.get(one.name, ""), one.sure.upper())
        for one in values
    ]


def _section(key: str, title: str, lead: str, head: str, values: Sequence[ComparedValue]) -> IntervalsSection | None:
    if not values:
        return None
    return IntervalsSection(
        id=key,
        title=title,
        lead=lead,
        head=head,
        count_name="",
        value_name="B \N{MINUS SIGN} A",
        reference=0.0,
        reference_name="no difference",
        signed=True,
        rows=[
            Interval(
                name=one.name,
                value=one.difference,
                low=one.low,
                high=one.high,
                tone={"a": "bad", "b": "good", "": ""}[one.sure],
                note=f"{one.sure.upper()} is better" if one.sure else "",
            )
            for one in values
        ],
    )


def _telling(comparison: ModelComparison, model: str, title: str) -> TellingImages:
    found = comparison.better(model)
    return TellingImages(
        key=f"better-{model}",
        title=title,
        count=len(found),
        shown=min(len(found), SHOWN_IMAGES),
        rows=_drawn(comparison, found[:SHOWN_IMAGES]),
    )


def _drawn(comparison: ModelComparison, images: Sequence[ComparedImage]) -> Iterator[TellingImage]:
    listed = {image["id"]: image for image in comparison.truth["images"]}
    found = [
        {prediction.image_id: prediction for prediction in model.predictions} for model in (comparison.a, comparison.b)
    ]
    lowest = task_declaration(comparison.a.card.task).shown_from(comparison.score)
    for one in images:
        image = listed[one.image_id]
        try:
            picture = read_image(comparison.root / image["file_name"], MAX_DRAWN_PIXELS)
        except UnreadableImageError:
            yield TellingImage(one.image, one.a.text, one.b.text, None, None, None)
            continue
        annotations = [entry for entry in comparison.truth["annotations"] if entry["image_id"] == one.image_id]
        drawn = [comparison.evaluator.draw(picture, of_model[one.image_id].above(lowest)) for of_model in found]
        truth = comparison.evaluator.draw_truth(picture, annotations, image.get("labels", ()))
        yield TellingImage(one.image, one.a.text, one.b.text, truth, *drawn)
