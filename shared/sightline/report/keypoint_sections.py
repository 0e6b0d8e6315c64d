"""The page sections of a model that predicts keypoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sightline.report.sections import DRAWN_IMAGES, CurvesSection, Section, TableSection

NOTE = (
    "Keypoint AP: mean over object keypoint similarity (OKS) 0.50 to 0.95, detections of all scores, at most 20 per "
    "class and image. PCK: share of the labeled keypoints, visible or hidden, that lie within 0.2 of the diagonal of "
    "their object's box; an object without a detection has none. Errors are means over objects with a detection; the "
    "relative error is divided by the square root of the object's area."
)

_COLOURS = (
    "The first keypoints of the flip pairs (left) and their limbs are orange, the second ones (right) blue; hidden "
    "keypoints are white."
)


def sigma_note(sigmas: Sequence[float], *, uniform: bool) -> str:
    """What the sigmas of OKS are, for pages."""
    if uniform:
        return (
            f" No sigmas are configured, so OKS uses {sigmas[0]:g} for every keypoint: compare these numbers only with "
            "those of the same dataset, or set data.keypoints.sigmas."
        )
    return " OKS uses the sigmas of data.keypoints.sigmas."


def keypoint_sections(values: Mapping[str, Any]) -> list[Section]:
    """The sections of one model on one split.

    Args:
        values: JSON values: ``keypoints`` (name -> ``count``, ``PCK``, ``error (px)``, ``error (relative)``),
            ``per_class`` (class -> ``instances`` and metrics) and ``curves`` (class -> precision at OKS 0.5).
    """
    columns = dict.fromkeys(name for row in values["per_class"].values() for name in row if name != "instances")
    return [
        TableSection(
            id="keypoints",
            title="Per keypoint",
            link="Keypoints",
            head="keypoint",
            lead="Visible and hidden keypoints. Errors are means over objects with a detection; the relative error is "
            "divided by the square root of the object's area.",
            missing="No labeled keypoints.",
            counts=["count"],
            columns=["PCK", "error (px)", "error (relative)"],
            bar="PCK",
            rows=values["keypoints"],
        ),
        TableSection(
            id="classes",
            title="Per class",
            link="Classes",
            lead="Objects without labeled keypoints are not counted.",
            missing="No values per class.",
            counts=["instances"],
            columns=list(columns),
            bar="keypoint_AP" if "keypoint_AP" in columns else "",
            rows=values["per_class"],
        ),
        CurvesSection(
            id="curves",
            title="Precision and recall",
            link="PR curves",
            lead="At OKS 0.5, over all scores.",
            missing="No precision-recall curves.",
            mean_title="Mean precision of all classes at OKS 0.5",
            hint="Precision (y axis) over recall (x axis), both 0 to 1, at OKS 0.5",
            x_label="recall",
            y_label="precision",
            lines={"keypoint": values["curves"]} if values["curves"] else {},
            values={
                "keypoint": {name: values["per_class"].get(name, {}).get("keypoint_AP50") for name in values["curves"]}
            },
            value_name="AP50",
        ),
        DRAWN_IMAGES.model_copy(update={"lead": f"{_COLOURS} {DRAWN_IMAGES.lead}"}),
    ]
