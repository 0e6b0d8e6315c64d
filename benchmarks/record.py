"""Images a minute from labelme to COCO, against what a bare script needs to read the same files, in the same run."""

import hashlib
import json
import statistics
import tempfile
import time
from pathlib import Path

from PIL import Image

from benchmarks.figures import Figure, show
from sightline.config.decode import decode
from sightline.data.formats.labelme.folder import read_folder
from sightline.data.recording.merge import merge
from sightline.data.recording.split import SplitImage, assign_splits, tying_distance
from sightline.demo.plates.draw import draw_dataset

IMAGES = 600
RUNS = 3
TARGET = 3000


def bare(folder: Path) -> int:
    """The least that any tool must do: parse each JSON file, hash and decode each image."""
    for path in sorted(folder.glob("*.json")):
        document = json.loads(path.read_bytes())
        image = folder / document["imagePath"]
        hashlib.sha256(image.read_bytes()).hexdigest()
        Image.open(image).load()
    return IMAGES


def check(folder: Path) -> int:
    """What `sightline check` does."""
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


def measure() -> list[Figure]:
    """The figures of this benchmark."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        draw_dataset(folder, images=IMAGES, seed=5)
        rates: dict[str, list[float]] = {}
        for _ in range(RUNS):
            for work in (bare, check, to_coco):
                began = time.perf_counter()
                done = work(folder)
                rates.setdefault(work.__name__, []).append(done / (time.perf_counter() - began) * 60)
    peer = statistics.median(rates.pop("bare"))
    return [
        Figure(
            f"labelme {work_name}, {IMAGES} images, median of {RUNS}",
            f"{statistics.median(values):,.0f} images/min",
            f"bare parse + hash + decode {peer:,.0f}",
            statistics.median(values) / peer,
            f">= {TARGET:,}",
            statistics.median(values) >= TARGET,
        )
        for work_name, values in rates.items()
    ]


if __name__ == "__main__":
    show("labelme to COCO", measure())
