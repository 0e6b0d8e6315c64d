"""The metrics of boxes and of outlines, and of what is read from boxes; without torch."""

from __future__ import annotations

from sightline.config.task_declarations import Metric, Reading

BOX_AP50 = Metric("box_AP50", "boxes: average precision at IoU 0.5, every score", place=6, headline=True)
BOX_METRICS = (
    Metric("box_AP", "boxes: average precision, mean over IoU 0.50 to 0.95, every score", place=2),
    BOX_AP50,
    Metric("box_AP75", "boxes: average precision at IoU 0.75, every score"),
)
MASK_METRICS = (
    Metric("mask_AP", "outlines: average precision, mean over IoU 0.50 to 0.95, every score", place=1),
    Metric("mask_AP50", "outlines: average precision at IoU 0.5, every score", place=5, headline=True),
    Metric("mask_AP75", "outlines: average precision at IoU 0.75, every score"),
)
DIVIDED = Metric("dv_mAP", "outlines correct in all six slices, IoU 0.6, every score", place=3, headline=True)

READINGS = {
    "plates": Reading(
        Metric("EIR", "plates read exactly", place=4, headline=True),
        "counts structures that were read exactly",
        noun="plate",
    )
}
"""What can be read from boxes; each is a module of that name in :mod:`sightline.tasks.readers`."""
