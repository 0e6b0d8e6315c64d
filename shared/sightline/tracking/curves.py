"""Precision-recall curves as JSON and as a drawing, for trackers that show only images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sightline.tracking.base import PrecisionRecallCurve

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_CLASSES = 20
"""More curves could not be told apart."""


def curve_documents(curves: Sequence[PrecisionRecallCurve]) -> list[dict[str, Any]]:
    """The curves as JSON values."""
    return [
        {"name": curve.name, "recall": curve.recall.tolist(), "precision": curve.precision.tolist()} for curve in curves
    ]


def read_curves(documents: Sequence[Mapping[str, Any]]) -> list[PrecisionRecallCurve]:
    """The reverse of :func:`curve_documents`."""
    return [PrecisionRecallCurve(one["name"], np.array(one["recall"]), np.array(one["precision"])) for one in documents]


def draw_curves(title: str, curves: Sequence[PrecisionRecallCurve]) -> Figure:
    """Draw the curves of the first :data:`MAX_CLASSES` classes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 5), layout="constrained")
    axes = figure.add_subplot(title=title, xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))
    for curve in curves[:MAX_CLASSES]:
        axes.plot(curve.recall, curve.precision, label=curve.name)
    axes.legend(fontsize="small")
    return figure
