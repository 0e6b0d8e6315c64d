"""All numbers of a summary as JSON and CSV, for notebooks and spreadsheets."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sightline.documents import FIRST_FORMAT
from sightline.files import write_atomically

FILES = ("metrics.json", "metrics.csv")

_COLUMNS = ("model", "sha256", "split", "kind", "name", "metric", "value", "low", "high", "count")


def write_numbers(folder: Path, summary: Mapping[str, Any]) -> None:
    """Write ``metrics.json`` and ``metrics.csv`` beside ``summary.json``.

    Each number is one line of the CSV: the metrics of a model (``kind`` is ``metric``), the numbers of its tables such
    as ``classes``, and values with intervals such as ``slices``; ``kind`` is then the id of the page section, and
    ``name`` the row.

    Args:
        folder: The folder of ``summary.json``.
        summary: Its contents, as JSON values.
    """
    rows = list(_rows(summary))
    document = {
        "format": FIRST_FORMAT,
        "training_tag": summary.get("training_tag", ""),
        "split": summary.get("split", ""),
        "images": summary.get("images", 0),
        "values": rows,
    }
    out = io.StringIO()
    writer = csv.DictWriter(out, _COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(folder / FILES[0], json.dumps(document, indent=1, ensure_ascii=False))
    write_atomically(folder / FILES[1], out.getvalue())


def _rows(summary: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for name, model in summary.get("models", {}).items():
        common = {"model": name, "sha256": model.get("sha256", ""), "split": summary.get("split", "")}
        intervals = model.get("intervals", {})
        for metric, value in model.get("metrics", {}).items():
            low, high = intervals.get(metric, (None, None))
            yield common | {"kind": "metric", "name": "", "metric": metric, "value": value, "low": low, "high": high}
        for key, value in (model.get("profile") or {}).items():
            if isinstance(value, int | float):
                yield common | {"kind": "profile", "name": "", "metric": key, "value": value}
        for section in model.get("sections", []):
            yield from (common | {"kind": section["id"]} | row for row in _section_rows(section))


def _section_rows(section: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if section["kind"] == "table":
        for name, row in section["rows"].items():
            for metric, value in row.items():
                yield {"name": name, "metric": metric, "value": value}
    elif section["kind"] == "intervals":
        for row in section["rows"]:
            numbers = {key: row.get(key) for key in ("value", "low", "high", "count")}
            yield {"name": row["name"], "metric": section["value_name"], **numbers}
