"""Small labelme folders for tests: generated images and JSON as labelme writes it."""

import io
import json

import numpy as np
from PIL import Image

from sightline.config.data import Data

WIDTH, HEIGHT = 64, 48
SQUARE = [[10, 10], [30, 10], [30, 30], [10, 30]]


def picture(seed=0, size=(WIDTH, HEIGHT)):
    """A random picture with coarse structure."""
    noise = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)


def encoded(image, image_format="JPEG", **options):
    """The bytes of an image file."""
    stream = io.BytesIO()
    image.save(stream, image_format, **options)
    return stream.getvalue()


def shape(label="car", points=SQUARE, shape_type="polygon", **fields):
    return {"label": label, "points": points, "group_id": None, "shape_type": shape_type, "flags": {}, **fields}


def document(*shapes, **fields):
    return {
        "version": "5.5.0", "flags": {}, "shapes": list(shapes), "imagePath": "a.jpg", "imageData": None,
        "imageHeight": HEIGHT, "imageWidth": WIDTH, **fields,
    }  # fmt: skip


def write(root, name="a.json", *shapes, image=True, seed=0, **fields):
    """Write one JSON file, and the image that it names."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    fields.setdefault("imagePath", path.with_suffix(".jpg").name)
    path.write_text(json.dumps(document(*shapes, **fields)), encoding="utf-8")
    if image:
        path.with_suffix(".jpg").write_bytes(encoded(picture(seed)))
    return path


def settings(**fields):
    """The section ``data`` with classes car and bus, read in this process."""
    return Data(**{"repository": "-", "classes": ("car", "bus"), "jobs": 1, **fields})
