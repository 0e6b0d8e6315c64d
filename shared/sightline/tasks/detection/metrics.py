"""The metrics of boxes, masks and readings, declared without torch."""

from __future__ import annotations

from sightline.config.task_declarations import Metric, Reading

BOX_AP50 = Metric("box_AP50", "average precision of boxes at IoU 0.5, over all scores", place=6, headline=True)
BOX_METRICS = (
    Metric("box_AP", "average precision of boxes, mean over IoU 0.50 to 0.95, over all scores", place=2),
    BOX_AP50,
    Metric("box_AP75", "average precision of boxes at IoU 0.75, over all scores"),
)
MASK_METRICS = (
    Metric("mask_AP", "average precision of masks, mean over IoU 0.50 to 0.95, over all scores", place=1),
    Metric("mask_AP50", "average precision of masks at IoU 0.5, over all scores", place=5, headline=True),
    Metric("mask_AP75", "average precision of masks at IoU 0.75, over all scores"),
)
DIVIDED = Metric("dv_mAP", "divided average precision of outlines at IoU 0.6, over all scores", place=3, headline=True)

READINGS = {
    "plates": Reading(
        Metric("EIR", "plates read exactly", place=4, headline=True),
        "counts structures that were read exactly",
        noun="plate",
    )
}
"""Structures that can be read from boxes; each name is that of a module in :mod:`sightline.tasks.readers`."""

OWN_READING = Reading(
    Metric("EIR", "structures read exactly", place=4, headline=True), "counts structures that were read exactly"
)
"""What a reader of a recipe's own reads."""
