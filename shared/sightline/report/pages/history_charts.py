"""Training curves from ``history.json``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from sightline import strict_json
from sightline.config.task_declarations import charted_metrics
from sightline.documents import DocumentError
from sightline.errors import DataError
from sightline.registry.training_history import HISTORY
from sightline.report.charts import Chart, Series, line_chart
from sightline.report.page import reason_of


def read_history(folder: Path) -> list[dict[str, float]]:
    """Read ``history.json`` of a folder: one dictionary of numbers by name per logged iteration.

    Values that are not numbers are left out.

    Raises:
        DataError: It is missing, has a newer format, or is not a training history.
    """
    path = folder / "history.json"
    try:
        entries = HISTORY.upgrade(strict_json.decode(path.read_bytes(), finite=False))["entries"]
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise DocumentError("entries: expected a list of objects")
        return [{name: float(value) for name, value in entry.items() if _is_number(value)} for entry in entries]
    except (OSError, ValueError, TypeError, KeyError) as error:
        remedy = error.remedy("run train again") if isinstance(error, DocumentError) else "run train again"
        raise DataError(f"{path}: cannot read the training history: {reason_of(error)}; {remedy}") from error


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


_Y_LABELS = {
    "Loss": "loss",
    "Validation": "value on val, 0 to 1",
    "Learning rate": "learning rate",
    "Images per second": "images per second",
}


def history_charts(history: Sequence[Mapping[str, float]]) -> list[Chart]:
    """Charts of losses, validation metrics, learning rate and speed; charts without values are left out."""
    names = list(dict.fromkeys(name for entry in history for name in entry))
    parts = [name for name in names if name.startswith("loss_")]
    validation = {f"val/{name}" for name in charted_metrics()}
    groups = {
        # A single part is the loss itself.
        "Loss": ["loss", *(parts if len(parts) > 1 else [])] if "loss" in names else parts,
        # More lines could not be told apart; the table of models shows all metrics.
        "Validation": [name for name in names if name in validation],
        "Learning rate": [name for name in names if name == "learning_rate"],
        "Images per second": [name for name in names if name == "images_per_second"],
    }
    charts = []
    for title, members in groups.items():
        series = [_series(history, name) for name in members]
        series = [line for line in series if line.x]
        if series:
            highest = 1.0 if title == "Validation" else max(y for line in series for y in line.y)
            limits = (0.0, 1.05 * highest) if highest > 0 else None
            charts.append(
                line_chart(
                    f"train {title}",
                    title,
                    series,
                    x_label="iteration",
                    y_label=_Y_LABELS[title],
                    y_limits=limits,
                )
            )
    return charts


def _series(history: Sequence[Mapping[str, float]], name: str) -> Series:
    points = [(entry["iteration"], entry[name]) for entry in history if name in entry and "iteration" in entry]
    shown = name.removeprefix("val/").replace("_", " ") if name.startswith("loss_") else name.removeprefix("val/")
    return Series(shown, [x for x, _ in points], [y for _, y in points])
