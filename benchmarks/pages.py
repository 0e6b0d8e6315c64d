"""Seconds to write the evaluation report of three models with 100 classes and 24 drawn images, from its summary."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.figures import Figure, show
from sightline.metrics.matches import Matches
from sightline.metrics.overlaps import Found, Pairs, TrueObjects
from sightline.report.detector_sections import detector_sections
from sightline.report.pages.evaluation_report import write_evaluation_report
from sightline.report.pages.summary import SUMMARY
from sightline.report.sections import Interval, IntervalsSection, Section
from sightline.tasks.detection.score_sections import score_sections

CLASSES, MODELS, IMAGES, DETECTIONS = 100, 3, 24, 52_000
SIZE = (1280, 960)
TARGET_SECONDS = 15.0


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_summary(folder)
        began = time.perf_counter()
        write_evaluation_report(folder / "report.html", folder)
        seconds = time.perf_counter() - began
        size = (folder / "report.html").stat().st_size / 1e6
    return [
        Figure(
            f"page of {MODELS} models, {CLASSES} classes, {IMAGES} images ({size:.1f} MB)",
            f"{seconds:.1f} s",
            target=f"< {TARGET_SECONDS:.0f} s",
            met=seconds < TARGET_SECONDS,
        )
    ]


def write_summary(folder: Path) -> None:
    """``summary.json`` with everything that a detector's page shows, and its drawn images."""
    noise = np.random.default_rng(0)
    names = [f"part {number:03d}" for number in range(CLASSES)]
    drawn = []
    for number in range(IMAGES):
        paths = {kind: f"{kind}-{number}.jpg" for kind in ("truth", "prediction")}
        pixels = noise.integers(0, 255, (SIZE[1] // 8, SIZE[0] // 8, 3), dtype=np.uint8)
        for path in paths.values():
            Image.fromarray(pixels).resize(SIZE).save(folder / path, quality=90)
        drawn += [{"image": f"{number}.jpg", "model": f"model {one}", **paths} for one in range(MODELS)]
    models = {f"model {one}": {"metrics": {"box_AP": 0.5}, "sections": sections(noise, names)} for one in range(MODELS)}
    document = {"format": SUMMARY.format, "split": "val", "classes": names, "models": models, "drawn": drawn}
    (folder / "summary.json").write_text(json.dumps(document))


def sections(noise: np.random.Generator, names: list[str]) -> list[dict[str, Any]]:
    curves = {name: np.sort(noise.random(101))[::-1].tolist() for name in names}
    levels = noise.random(CLASSES)
    values = {
        "per_class": {
            name: {"instances": 350, "box_AP": float(level), "box_AP50": float(level)}
            for name, level in zip(names, levels, strict=True)
        },
        "curves": {"box": curves, "mask": curves},
        "confusion": {
            "labels": [*names, "background"],
            "matrix": noise.poisson(0.4, (CLASSES + 1, CLASSES + 1)).tolist(),
        },
    }
    found: list[Section] = [
        *detector_sections(values, names, note="", score_threshold=0.5),
        *score_sections(matches(noise, names), chosen_here=True),
        IntervalsSection(
            id="slices",
            title="Where it is weak",
            reference=0.5,
            rows=[Interval(name=f"class: {name}", value=0.5, low=0.4, high=0.6, count=90) for name in names],
        ),
    ]
    return [section.model_dump(mode="json") for section in found]


def matches(noise: np.random.Generator, names: list[str]) -> Matches:
    scores, classes = noise.random(DETECTIONS).astype(np.float32), np.sort(noise.integers(0, CLASSES, DETECTIONS))
    right = noise.random(DETECTIONS) < scores
    number = CLASSES * 350
    none = np.zeros(0, np.intp)
    return Matches(
        "box",
        tuple(names),
        Found(np.zeros(DETECTIONS, np.intp), classes, scores, np.zeros(DETECTIONS, bool), np.arange(DETECTIONS)),
        TrueObjects(np.zeros(number, np.intp), np.arange(number) % CLASSES, *np.zeros((2, number), bool)),
        Pairs(none, none, np.zeros(0)),
        np.where(right, 0, -1)[None].repeat(10, axis=0),
        np.zeros((10, DETECTIONS), bool),
        1,
    )


if __name__ == "__main__":
    show("Pages", measure())
