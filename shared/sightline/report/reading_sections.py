"""The page sections of what was read wrongly: fields, edit distances, characters, kinds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sightline.report.sections import ConfusionSection, Section, TableSection
from sightline.report.wording import count_text


def reading_error_sections(errors: Mapping[str, Any], noun: str, score: str) -> list[Section]:
    """The sections of the differences between true structures and what was read.

    Args:
        errors: As :func:`sightline.metrics.reading_errors.errors_document` gives them.
        noun: Name of a structure, such as ``plate``.
        score: The score threshold as text.
    """
    read, missed = sum(errors["distances"].values()), errors["not_read"]
    mean = errors["mean_distance"]
    counted = f"{count_text(read)} {noun}s with a reading, and {count_text(missed)} without one, {score}"
    return [
        TableSection(
            id="reading-fields",
            title=f"What is wrong in misread {noun}s",
            link="Misread",
            lead=f"Of {counted}. A {noun} may have several faults; place: all texts are right, but it is too far away.",
            missing=f"No {noun} was read.",
            head="field",
            counts=["wrong"],
            columns=["share"],
            bar="share",
            rows=_with_share(errors["wrong"], read, "wrong"),
        ),
        TableSection(
            id="reading-distances",
            title="Edit distances",
            lead=f"Characters to change, add or remove until a reading is right; "
            f"{'no mean' if mean is None else f'{mean:.2f} on average'}.",
            missing=f"No {noun} was read.",
            head="edit distance",
            counts=[f"{noun}s"],
            columns=["share"],
            bar="share",
            rows=_with_share(errors["distances"] | {"not read": missed}, read + missed, f"{noun}s"),
        ),
        ConfusionSection(
            id="reading-characters",
            title="Characters",
            lead="True characters (rows) and what was read for them (columns). The column none counts missing "
            "characters, the row none extra ones.",
            missing="No characters were read.",
            **errors["characters"],
        ),
        TableSection(
            id="reading-kinds",
            title=f"Kinds of {noun}s",
            link="Kinds",
            missing=f"There are no {noun}s.",
            head="kind",
            counts=["true", "exact"],
            columns=["EIR"],
            bar="EIR",
            rows={kind: row | {"EIR": row["exact"] / row["true"]} for kind, row in errors["kinds"].items()},
        ),
    ]


def _with_share(counts: Mapping[str, int], total: int, column: str) -> dict[str, dict[str, float]]:
    return {name: {column: count, "share": count / total} for name, count in counts.items()} if total else {}
