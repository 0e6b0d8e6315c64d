"""Images a minute from labelme to COCO, against a bare script on the same files, and against the package labelme2coco.

labelme2coco parses the JSON files and opens no image.  It is installed once, in its own environment, because Sightline
does not depend on it; without a package registry its comparison is skipped.
"""

import hashlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

from PIL import Image

from benchmarks.figures import Figure, show
from sightline.config.decode import decode
from sightline.data.formats.labelme.folder import read_folder
from sightline.data.recording.merge import merge
from sightline.data.recording.split import SplitImage, assign_splits, tying_distance
from sightline.demo.plates.draw import draw_dataset

IMAGES = 2_000
RUNS = 3
TARGET = 3000
BARE_TARGET, PEER_TARGET = 0.5, 1.0
PEER = "labelme2coco==0.2.6"
ENVIRONMENT = Path(__file__).parents[1] / ".tools" / "labelme2coco"

CONVERT = """
import sys, time
from labelme2coco import get_coco_from_labelme_folder
began = time.perf_counter()
images = len(get_coco_from_labelme_folder(sys.argv[1]).json["images"])
print(images, time.perf_counter() - began)
"""
"""Prints the number of images and the seconds, without those of imports."""


def bare(folder: Path) -> int:
    """The least that any tool must do: parse each JSON file, hash and decode each image."""
    for path in sorted(folder.glob("*.json")):
        document = json.loads(path.read_bytes())
        image = folder / document["imagePath"]
        hashlib.sha256(image.read_bytes()).hexdigest()
        Image.open(image).load()
    return IMAGES


def check(folder: Path) -> int:
    """What `sightline check` does: parse, validate, hash, decode, rasterize."""
    return len(read_folder(folder, decode("plates").data).images)


def to_coco(folder: Path) -> int:
    """What record does between checkout and publishing: read, validate, split, merge."""
    data = decode("plates").data
    images = read_folder(folder, data).images
    entries = [
        SplitImage(image.sha256, image.perceptual_hash, image.group, frozenset(i.label for i in image.instances))
        for image in images
    ]
    splits = assign_splits(entries, [], data.splits, tying_distance(data)).splits
    documents = merge(images, [split for split in splits if split], data, "plates")
    return sum(len(document["images"]) for document in documents.values())


def seconds_of_peer(folder: Path) -> float | None:
    """Seconds that labelme2coco takes for a folder; None if it cannot be installed."""
    python = ENVIRONMENT / "bin" / "python"
    if not (ENVIRONMENT / "installed").exists():
        venv.create(ENVIRONMENT, with_pip=True, clear=True)
        if subprocess.run([python, "-m", "pip", "install", "-q", PEER], check=False).returncode:
            return None
        (ENVIRONMENT / "installed").touch()
    command = [python, "-c", CONVERT, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder, env={})
    images, seconds = done.stdout.splitlines()[-1].split()
    if int(images) != IMAGES:
        sys.exit(f"labelme2coco read {images} images, expected {IMAGES}")
    return float(seconds)


def measure() -> list[Figure]:
    """The figures of this benchmark."""
    rates: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        draw_dataset(folder, images=IMAGES, seed=5)
        for _ in range(RUNS):
            for work in (bare, check, to_coco):
                began = time.perf_counter()
                done = work(folder)
                rates.setdefault(work.__name__, []).append(done / (time.perf_counter() - began) * 60)
            if (seconds := seconds_of_peer(folder)) is not None:
                rates.setdefault("peer", []).append(IMAGES / seconds * 60)
    median = {work: statistics.median(values) for work, values in rates.items()}
    bare_rate, peer_rate = median["bare"], median.get("peer")
    against_bare = f"bare parse + hash + decode {bare_rate:,.0f}"
    against_peer = f"{PEER} {peer_rate:,.0f}" if peer_rate else f"skipped: {PEER} could not be installed"
    figures = [
        _figure("check", median["check"], against_bare, bare_rate, BARE_TARGET),
        _figure("check", median["check"], against_peer, peer_rate, PEER_TARGET),
    ]
    for work in ("check", "to_coco"):
        value, met = f"{median[work]:,.0f} images/min", median[work] >= TARGET
        figures.append(Figure(_name(work), value, target=f">= {TARGET:,}", met=met))
    return figures


def _name(work: str) -> str:
    return f"labelme {work}, {IMAGES:,} images, median of {RUNS}"


def _figure(work: str, rate: float, against: str, other: float | None, target: float) -> Figure:
    """A rate with a target relative to another one; skipped without it."""
    ratio = rate / other if other else None
    met = None if ratio is None else ratio >= target
    return Figure(_name(work), f"{rate:,.0f} images/min", against, ratio, f">= {target:g} x", met)


if __name__ == "__main__":
    show("labelme to COCO", measure())
