"""Folders of labelled images for tests: random pictures, so that no two are near-duplicates, with a few polygons."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (64, 48)
CLASSES = ("cat", "dog", "bird")


def write_images(folder: Path, names, *, labels=CLASSES, group: str = "") -> Path:
    """One JPEG and one labelme JSON a name; the picture depends on the name alone."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        write_picture(folder / f"{name}.jpg", seed=name)
        write_labels(folder, name, [labels[number % len(labels)], labels[0]], group=group)
    return folder


def write_picture(path: Path, seed: str, change: int = 0) -> None:
    """A picture made of 8 x 8 random colours; ``change`` makes the file another and leaves its look."""
    random = np.random.default_rng(list(seed.encode()))
    picture = Image.fromarray(random.integers(0, 255, (8, 8, 3), dtype=np.uint8)).resize(SIZE)
    picture.save(path, quality=90 - change)


def write_labels(folder: Path, name: str, labels, *, group: str = "", x: float = 5.5) -> None:
    document = {
        "version": "5.5.0",
        "flags": {},
        "shapes": [
            {
                "label": label,
                "points": [[x + 20 * index, 5], [x + 14 + 20 * index, 6.5], [x + 3 + 20 * index, 30]],
                "group_id": None,
                "shape_type": "polygon",
                "flags": {},
            }
            for index, label in enumerate(labels)
        ],
        "imagePath": f"{name}.jpg",
        "imageData": None,
        "imageHeight": SIZE[1],
        "imageWidth": SIZE[0],
    }
    if group:
        document["group"] = group
    (folder / f"{name}.json").write_text(json.dumps(document))


def names(count: int, start: int = 0) -> list[str]:
    return [f"{number:03}" for number in range(start, start + count)]
