"""All metrics of one classifier on one split, with their page sections."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sightline.data.formats.coco import CocoDocument
from sightline.metrics.classification import CALIBRATION_BINS, ClassificationScores, roc_curve
from sightline.report.sections import (
    DRAWN_IMAGES,
    Answer,
    AnswersSection,
    ChartsSection,
    ConfusionSection,
    CurvesSection,
    LineChart,
    Number,
    Remark,
    Section,
    TableSection,
    Text,
)
from sightline.tasks.classification.prediction import Classification
from sightline.tasks.classification.score_sections import probability_sections
from sightline.tasks.classification.scores import overall
from sightline.tasks.classification.statistics import classifier_statistics
from sightline.tasks.classification.truth import LabelSetResults, results_of
from sightline.tasks.evaluators import Measurement

_SHOWN_WRONG = 200
"""Wrong images in the list of answers; summaries of large splits would be too large otherwise."""

_COLUMNS = ["precision", "recall", "f1", "auroc", "average_precision"]
_NOTE = (
    "The class of an image is the most probable one; in label sets with two classes, or with several classes per "
    "image, thresholds decide, chosen for the highest F1 on the val split. Means over classes leave out classes "
    "without an image in the split; a class that is never predicted has precision 0. The calibration error has "
    f"{CALIBRATION_BINS} bins."
)


def measure_classifications(truth: CocoDocument, predictions: Sequence[Classification]) -> Measurement:
    """Compute all metrics.

    Args:
        truth: One split.
        predictions: One per image.

    Raises:
        DataError: The training set has no label sets, or predictions are missing.
    """
    results = list(results_of(truth, predictions))
    metrics, scores = overall(results)
    sections: list[Section] = [] if len(results) == 1 else [_label_sets(results, scores)]
    sections += [_classes(results, scores), *_roc(results, scores)]
    sections += [_confusion(one, several=len(results) > 1) for one in results if not one.schema.multiple]
    sections += probability_sections(results)
    remarks = _remarks(results)
    statistics, of_classes = classifier_statistics(truth, results)
    return Measurement(
        metrics,
        [*sections, _answers(truth, results, remarks), DRAWN_IMAGES],
        remarks,
        _NOTE,
        {name: statistics[name] for name in metrics if name in statistics},
        of_classes,
    )


def _label_sets(results: Sequence[LabelSetResults], scores: Sequence[ClassificationScores]) -> TableSection:
    columns = ["accuracy", "f1_macro", "auroc", "average_precision", "calibration_error"]
    return TableSection(
        id="label-sets",
        title="Per label set",
        link="Label sets",
        head="label set",
        counts=["images"],
        columns=columns,
        bar="accuracy",
        rows={
            one.schema.name: {"images": len(one.truth)}
            | {name: scored.values[name] for name in columns if name in scored.values}
            for one, scored in zip(results, scores, strict=True)
        },
    )


def _classes(results: Sequence[LabelSetResults], scores: Sequence[ClassificationScores]) -> TableSection:
    rows: dict[str, dict[str, float]] = {}
    for one, scored in zip(results, scores, strict=True):
        for name, row, threshold in zip(
            _names(one, several=len(results) > 1), scored.per_class, one.thresholds.tolist(), strict=False
        ):
            rows[name] = row | ({} if np.isnan(threshold) else {"threshold": threshold})
    thresholds = ["threshold"] if any("threshold" in row for row in rows.values()) else []
    return TableSection(
        id="classes",
        title="Per class",
        link="Classes",
        lead="Classes without an image in the split have no values.",
        missing="No values per class.",
        counts=["images", "predicted"],
        columns=[*_COLUMNS, *thresholds],
        bar="f1",
        rows=rows,
    )


def _names(results: LabelSetResults, *, several: bool) -> list[str]:
    schema = results.schema
    return [f"{schema.name}/{name}" if several else name for name in schema.classes]


def _roc(results: Sequence[LabelSetResults], scores: Sequence[ClassificationScores]) -> list[Section]:
    """The curve of all decisions together, or of the second of two classes, and the curve of each class."""
    several = len(results) > 1
    curves = {
        one.schema.name: {
            _names(one, several=several)[column]: curve.true_positive_rates for column, curve in scored.roc.items()
        }
        for one, scored in zip(results, scores, strict=True)
        if scored.roc
    }
    if not curves:
        return []
    only = results[0]
    if len(results) == 1 and not only.schema.multiple and len(only.schema.classes) == 2:
        title = f"The class {only.schema.classes[1]}"
        whole = roc_curve(only.truth[:, 1], only.probabilities[:, 1])
    else:
        title = "All classes together"
        whole = roc_curve(
            np.concatenate([one.truth.ravel() for one in results]),
            np.concatenate([one.probabilities.ravel() for one in results]),
        )
    chart = LineChart(
        key="roc",
        title=title,
        x_label="false positive rate",
        y_label="true positive rate",
        lines={"ROC": [float(value) for value in whole.true_positive_rates]},
        thresholds=whole.thresholds,
    )
    return [
        ChartsSection(
            id="roc",
            title="ROC curve",
            link="ROC",
            lead="The share of the images of a class that is found (true positive rate) against the share of all other "
            "images that is taken for it (false positive rate), at all thresholds.",
            missing="No ROC curve.",
            charts=[chart],
        ),
        CurvesSection(
            id="roc-classes",
            title="ROC curves of the classes",
            link="ROC by class",
            missing="No ROC curves.",
            mean_title="Mean true positive rate of all classes",
            hint="True positive rate (y axis) over false positive rate (x axis), both 0 to 1",
            x_label="false positive rate",
            y_label="true positive rate",
            lines=curves,
            values={
                one.schema.name: {
                    name: row.get("auroc")
                    for name, row in zip(_names(one, several=several), scored.per_class, strict=False)
                }
                for one, scored in zip(results, scores, strict=True)
                if scored.roc
            },
            value_name="AUROC",
        ),
    ]


def _confusion(results: LabelSetResults, *, several: bool) -> ConfusionSection:
    truth, found = results.truth.argmax(axis=1), results.decisions.argmax(axis=1)
    matrix = np.zeros((len(results.schema.classes),) * 2, dtype=np.int64)
    np.add.at(matrix, (truth, found), 1)
    of = f" of {results.schema.name}" if several else ""
    return ConfusionSection(
        id=f"confusion-{results.schema.name}" if several else "confusion",
        title=f"Confusion{of}",
        lead="Images by true and predicted class.",
        missing="No confusion matrix.",
        labels=list(results.schema.classes),
        matrix=matrix.tolist(),
    )


def _remarks(results: Sequence[LabelSetResults]) -> dict[int, Remark]:
    """What is wrong on each image, by label set."""
    wrong: dict[int, list[str]] = {}
    for one in results:
        prefix = f"{one.schema.name}: " if len(results) > 1 else ""
        decisions = one.decisions
        for row, image_id in enumerate(one.image_ids.tolist()):
            texts = wrong.setdefault(image_id, [])
            if (decisions[row] != one.truth[row]).any():
                said = _listed(one, row, decisions[row], sure=True)
                texts.append(f"{prefix}{_listed(one, row, one.truth[row])} predicted as {said}")
    return {
        image_id: Remark(mistakes=len(texts), text="; ".join(texts) or "right") for image_id, texts in wrong.items()
    }


def _listed(
    results: LabelSetResults, row: int, applies: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], *, sure: bool = False
) -> str:
    texts = [
        f"{name} ({results.probabilities[row, column] * 100:.0f} %)" if sure else name
        for column, name in enumerate(results.schema.classes)
        if applies[column]
    ]
    return ", ".join(texts) or "none"


def _sureness(results: LabelSetResults, row: int, applies: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> str:
    """The probabilities of the classes that were predicted, such as ``97 %``."""
    return ", ".join(f"{value * 100:.0f} %" for value in results.probabilities[row][applies].tolist())


def _probabilities_of_truth(results: Sequence[LabelSetResults]) -> dict[int, float]:
    """Image id -> the lowest probability of what is true of the image: that a class applies, or does not."""
    lowest: dict[int, float] = {}
    for one in results:
        of_truth = np.where(one.truth, one.probabilities, 1 - one.probabilities).min(axis=1)
        for id_, probability in zip(one.image_ids.tolist(), of_truth.tolist(), strict=True):
            lowest[id_] = min(lowest.get(id_, 1.0), probability)
    return lowest


def _answers(truth: CocoDocument, results: Sequence[LabelSetResults], remarks: dict[int, Remark]) -> AnswersSection:
    rows = [{id_: row for row, id_ in enumerate(one.image_ids.tolist())} for one in results]
    wrong = [image for image in truth["images"] if remarks.get(image["id"], Remark()).mistakes]
    of_truth = _probabilities_of_truth(results)
    wrong.sort(key=lambda image: of_truth[image["id"]])

    def texts(image_id: int, *, predicted: bool) -> list[Text]:
        said = []
        for one, places in zip(results, rows, strict=True):
            if image_id in places:
                row = places[image_id]
                applies = one.decisions[row] if predicted else one.truth[row]
                sure = _sureness(one, row, applies) if predicted else ""
                note = f"{one.schema.name} {sure}" if len(results) > 1 else sure
                said.append(Text(text=_listed(one, row, applies), note=note.strip()))
        return said

    return AnswersSection(
        id="answers",
        title="Wrong images",
        link="Wrong images",
        lead="Those whose true class seemed least probable come first."
        + (f" At most {_SHOWN_WRONG} are listed." if len(wrong) > _SHOWN_WRONG else ""),
        missing="No image is wrong.",
        noun="class",
        by_character=False,
        numbers=[
            Number(name="right", value=len(remarks) - len(wrong), note=f"of {len(remarks)} images"),
            Number(name="wrong", value=len(wrong)),
        ],
        examples=[
            Answer(
                image=image["file_name"],
                truth=texts(image["id"], predicted=False),
                predicted=texts(image["id"], predicted=True),
            )
            for image in wrong[:_SHOWN_WRONG]
        ],
    )
