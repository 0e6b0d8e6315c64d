"""The page section with the suspected label errors of a measurement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sightline.data.formats.coco import CocoDocument
from sightline.metrics.label_errors import Suspect
from sightline.report.sections import ImagesSection, TableSection
from sightline.tasks.evaluators import Measurement

SHOWN_SUSPECTS = 20


def with_suspects(measurement: Measurement, truth: CocoDocument, suspects: Sequence[Suspect]) -> Measurement:
    """A measurement with a section of the labels that are most likely wrong, before the drawn images.

    Args:
        measurement: The measurement.
        truth: The split that was measured.
        suspects: The most suspicious first.
    """
    before = [one for one in measurement.sections if not isinstance(one, ImagesSection)]
    images = [one for one in measurement.sections if isinstance(one, ImagesSection)]
    return replace(measurement, sections=[*before, suspects_section(truth, suspects), *images])


def suspects_section(truth: CocoDocument, suspects: Sequence[Suspect]) -> TableSection:
    """The most suspicious labels as a table: image, kind and classes, and score."""
    files = {image["id"]: image["file_name"] for image in truth["images"]}
    names = {category["id"]: category["name"] for category in truth["categories"]}
    rows: dict[str, dict[str, float]] = {}
    for suspect in suspects[:SHOWN_SUSPECTS]:
        named = row = f"{files[suspect.image_id]}: {suspect.kind}, {suspect_classes(suspect, names)}"
        number = 1
        while row in rows:
            number += 1
            row = f"{named} ({number})"
        rows[row] = {"score": suspect.score}
    return TableSection(
        id="label-errors",
        title="Suggested label errors",
        link="Label errors",
        head="image and label",
        lead=f"Labels that confident predictions contradict, the most suspicious first, at most {SHOWN_SUSPECTS}. To "
        "correct them in labelme: sightline data suggest MODEL TAG -o FOLDER.",
        missing="No label is contradicted by a confident prediction.",
        columns=["score"],
        bar="score",
        rows=rows,
    )


def suspect_classes(suspect: Suspect, names: dict[int, str]) -> str:
    """The class in the truth and the suggested one, such as ``cat, suggested dog``."""
    true = None if suspect.category_id is None else names[suspect.category_id]
    suggested = None if suspect.suggested_id is None else names[suspect.suggested_id]
    if true is None or suggested is None or true == suggested:
        return true or suggested or ""
    return f"{true}, suggested {suggested}"
