"""Summaries of earlier formats."""

from __future__ import annotations

from typing import Any

from sightline.report.detector_sections import detector_note, detector_sections, read_texts
from sightline.report.sections import object_remark

_MEASURED = ("per_class", "curves", "confidence", "confusion", "readings")


def with_sections(summary: dict[str, Any]) -> dict[str, Any]:
    """Format 1 -> 2: format 1 has the measured values of a detector; format 2 has the page sections of each model."""
    models, threshold = summary.get("models", {}), summary.get("score_threshold")
    note = detector_note(
        divided=any("dv_mAP" in model.get("metrics", {}) for model in models.values()),
        reads=any(model.get("readings") is not None for model in models.values()),
        score_threshold=threshold,
    )
    for model in models.values():
        values = {name: model.pop(name) for name in _MEASURED if name in model}
        sections = detector_sections(values, summary.get("classes", []), note=note, score_threshold=threshold)
        model |= {"note": note, "sections": [section.model_dump() for section in sections]}
    for item in [*summary.get("drawn", []), *summary.get("unlabelled", [])]:
        if counts := item.pop("mistakes", None):
            known = {name: counts.get(name, 0) for name in ("confused", "missed", "false", "truths")}
            item["remark"] = object_remark(**known).model_dump()
        item["texts"] = [text.model_dump() for text in read_texts(item.pop("read", []))]
    return summary
