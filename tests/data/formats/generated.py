"""Small data sets of generated images in the formats other than labelme's."""

import json

import numpy as np

from sightline.config.data import Data
from tests.data.formats.labelme_folders import HEIGHT, WIDTH, encoded, picture


def write_image(path, seed=0, size=(WIDTH, HEIGHT)):
    """Write one random picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(picture(seed, size)))
    return path


def objects(**fields):
    """The section ``data`` for objects of the classes car and bus."""
    return Data(**{"repository": "-", "classes": ("car", "bus"), "jobs": 1, **fields})


def labels(*classes, **fields):
    """The section ``data`` for images with one label set."""
    return Data(**{"repository": "-", "label_sets": {"class": classes or ("good", "crack")}, "jobs": 1, **fields})


def places(annotations):
    """Kind, file and entry of every fault."""
    return [(fault.kind, fault.file, fault.entry) for fault in annotations.faults]


def coco(root, *, name="annotations/train.json", images=("a.jpg",), annotations=(), categories=None, **fields):
    """Write a COCO file with ids from 1, and its images beside it in ``images``."""
    document = {
        "images": [
            {"id": number, "file_name": image, "width": WIDTH, "height": HEIGHT}
            for number, image in enumerate(images, start=1)
        ],
        "annotations": [
            {"id": number, "image_id": 1, "category_id": 1, **one} for number, one in enumerate(annotations, start=1)
        ],
        "categories": categories or [{"id": 1, "name": "car"}, {"id": 2, "name": "bus"}],
        **fields,
    }  # fmt: skip
    for number, image in enumerate(images):
        if not (root / "images" / image).exists():
            write_image(root / "images" / image, seed=number + len(name))
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document), encoding="utf-8")
    return document


def yolo(root, lines, *, split="train", name="a", description=None, seed=0):
    """Write one image, its label file, and ``data.yaml``."""
    write_image(root / "images" / split / f"{name}.jpg", seed)
    text = root / "labels" / split / f"{name}.txt"
    text.parent.mkdir(parents=True, exist_ok=True)
    if lines is not None:
        text.write_text("".join(f"{line}\n" for line in lines))
    written = description or "path: .\ntrain: images/train\nval: images/val\nnames: [car, bus]\n"
    (root / "data.yaml").write_text(written)


def ring():
    """A mask with a hole: uint8 [HEIGHT, WIDTH]."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[5:30, 8:40] = 1
    mask[12:20, 15:25] = 0
    return mask
