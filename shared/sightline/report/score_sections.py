"""The page sections about scores: right and wrong decisions by score, calibration, best thresholds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sightline.report.sections import ChartsSection, Histogram, HistogramsSection, LineChart, TableSection

RightAndWrong = tuple[Sequence[int], Sequence[int]]
Reliability = Sequence[tuple[float, float, int]]


def histograms_of_scores(
    found: Mapping[str, RightAndWrong], *, noun: str, score: str, lead: str, note: str = ""
) -> HistogramsSection:
    """Histograms of right and wrong decisions by score.

    Args:
        found: Title -> the numbers of right and of wrong decisions in bins of equal width from 0 to 1.
        noun: Plural of a decision, such as ``detections``.
        score: Name of the score.
        lead: What is right and wrong, in full sentences.
        note: A remark below each chart.
    """
    return HistogramsSection(
        id="scores",
        title=f"Right and wrong {noun} by {score}",
        link="Scores",
        lead=lead,
        missing=f"No {noun}.",
        histograms=[
            Histogram(
                key=str(number),
                title=title,
                x_label=score,
                y_label=noun,
                bars={"right": [*map(float, right)], "wrong": [*map(float, wrong)]},
                note=note,
            )
            for number, (title, (right, wrong)) in enumerate(found.items())
        ],
    )


def calibration_section(found: Mapping[str, Reliability], *, noun: str, score: str) -> ChartsSection:
    """Reliability diagrams.

    Args:
        found: Title -> mean score, share of right decisions and number of decisions, of each bin.
        noun: Plural of a decision, such as ``detections``.
        score: Name of the score.
    """
    return ChartsSection(
        id="calibration",
        title="Calibration",
        lead=f"How often {noun} are right, by their {score}. On the diagonal the {score} says how often; below it the "
        "model is too sure, above it not sure enough.",
        missing=f"No {noun}.",
        charts=[
            LineChart(
                key=str(number),
                title=title,
                x_label=score,
                y_label=f"share of right {noun}",
                lines={"observed": [round(share, 5) for _, share, _ in bins]},
                x=[mean for mean, _, _ in bins],
                diagonal="perfectly calibrated",
            )
            for number, (title, bins) in enumerate(found.items())
            if bins
        ],
    )


def thresholds_section(rows: Mapping[str, Mapping[str, float]], lead: str) -> TableSection:
    """The best score threshold of each class.

    Args:
        rows: Class -> ``threshold``, ``F1``, ``precision`` and ``recall``; without values if no detection is right.
        lead: What the thresholds are for, in full sentences.
    """
    return TableSection(
        id="thresholds",
        title="Best score threshold per class",
        link="Thresholds",
        lead=lead,
        missing="No detection is right.",
        columns=["threshold", "F1", "precision", "recall"],
        bar="threshold",
        rows={name: dict(row) for name, row in rows.items()},
    )
