"""Drawing a dataset of faces: images and one CSV file with their labels."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from sightline.demo.backgrounds import paint_background
from sightline.demo.canvas import random_colour, shade
from sightline.demo.dataset import Layout, check_image, jpeg, replace_file, write_images
from sightline.demo.faces.face import Brush, View, paint_features, paint_hair, paint_head
from sightline.demo.faces.mask import MASKS, Mask, paint_mask
from sightline.demo.faces.person import Age, Gender, person
from sightline.demo.photograph import Effects, photograph
from sightline.errors import DataError

DEFAULT_SIZE = (176, 176)
"""Width and height in pixels."""

IMAGES_PER_PERSON = 6
LABELS_FILE = "labels.csv"

_LAYOUT = Layout("faces", {"": (), "images": ("jpg",)}, others=(LABELS_FILE,))
_EFFECTS = Effects(blur_sigma=(0.0, 0.4), light=0.45, exposure=(-0.3, 0.25), noise_sigma=(1.0, 6.0))


class FaceLabels(NamedTuple):
    """The labels of one image.

    Attributes:
        mask: How the mask is worn.
        gender: Of the person.
        age: Of the person.
        person: The person's name in all datasets: seed and number.
    """

    mask: Mask
    gender: Gender
    age: Age
    person: str


_HEADER = ("path", *FaceLabels._fields)


def draw_image(seed: int, index: int, size: tuple[int, int] = DEFAULT_SIZE) -> tuple[Image.Image, FaceLabels]:
    """Draw one image; the same arguments give the same image.

    Args:
        seed: Seed of the dataset, 0 to 2**32 - 1.
        index: Index of the image in the dataset, from 0.  Six images in a row, from a multiple of six, show the same
            person, twice with each label of ``mask``, in random order.
        size: Width and height in pixels, 96 to 4096 each.

    Returns:
        The RGB image and its labels.

    Raises:
        DataError: An argument is out of range.
    """
    check_image(seed, index, size)
    number, place = divmod(index, IMAGES_PER_PERSON)
    order = np.random.default_rng([seed, number, 3]).permutation(IMAGES_PER_PERSON)
    mask = MASKS[order[place] % len(MASKS)]
    someone = person(seed, number)
    rng = np.random.default_rng([seed, index])
    canvas = paint_background(rng, size)
    brush = Brush(canvas, _view(rng, size))
    paint_head(brush, someone)
    _clothes(rng, brush)
    paint_hair(brush, someone)
    paint_features(brush, someone)
    paint_mask(rng, brush, someone, mask)
    labels = FaceLabels(mask, someone.gender, someone.age, f"{seed}-{number:04d}")
    return photograph(rng, _EFFECTS, canvas.finish()), labels


def draw_dataset(
    folder: Path, *, images: int, seed: int, size: tuple[int, int] = DEFAULT_SIZE, start: int = 0, prefix: str = ""
) -> list[Path]:
    """Draw images of faces into ``images/`` and write their labels into ``labels.csv``.

    The file has the columns path, mask, gender, age and person.  Rows of images that were drawn before are kept.

    Args:
        folder: Created if it does not exist; must not contain files other than those of this dataset.
        images: Number of images, at least 1.
        seed: Seed of the dataset, 0 to 2**32 - 1; each seed gives different images of different persons.
        size: Width and height in pixels, 96 to 4096 each.
        start: Index of the first image; image ``i`` does not depend on it.
        prefix: Prefix of the file names, before the index.

    Returns:
        The images in the order of their indices.

    Raises:
        DataError: An argument is out of range, or the folder contains other files or cannot be written.
    """
    check_image(seed, start, size)
    rows = _read_labels(folder / LABELS_FILE)

    def draw(index: int, name: str) -> dict[str, bytes]:
        image, labels = draw_image(seed, index, size)
        rows[f"images/{name}.jpg"] = labels
        return {f"images/{name}.jpg": jpeg(image)}

    written = write_images(folder, _LAYOUT, draw, images=images, start=start, prefix=prefix)
    _write_labels(folder / LABELS_FILE, rows)
    return written


def _read_labels(path: Path) -> dict[str, tuple[str, ...]]:
    """The labels by the paths of the images; none if there is no such file."""
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ",".join(_HEADER)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot read the file ({error}); draw into a new folder") from error
    header, *rows = list(csv.reader(io.StringIO(text))) or [[]]
    for line, row in enumerate([header, *rows], start=1):
        if tuple(header) != _HEADER or len(row) != len(_HEADER):
            raise DataError(
                f"{path}: line {line} is {','.join(row)!r}; expected the columns {', '.join(_HEADER)}. "
                "Draw into a new folder"
            )
    return {row[0]: tuple(row[1:]) for row in rows}


def _write_labels(path: Path, labels: Mapping[str, tuple[str, ...]]) -> None:
    """Write one row an image, in the order of the images."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_HEADER)
    writer.writerows([name, *labels[name]] for name in sorted(labels, key=lambda name: (len(name), name)))
    replace_file(path, text.getvalue().encode())


def _view(rng: np.random.Generator, size: tuple[int, int]) -> View:
    side = min(size)
    angle = np.deg2rad(rng.normal(0.0, 6.0))
    cos, sin = np.cos(angle), np.sin(angle)
    return View(
        centre=np.array(size) / 2 + side * rng.uniform(-0.05, 0.05, size=2) + (0.0, 0.02 * side),
        scale=side * float(rng.uniform(0.34, 0.4)),
        roll=np.array([(cos, -sin), (sin, cos)]),
        turn=float(rng.uniform(-1, 1)),
        nod=float(rng.uniform(-1, 1)),
        mood=float(rng.uniform(-0.6, 1)),
        gaze=rng.uniform(-1, 1, size=2),
    )


def _clothes(rng: np.random.Generator, brush: Brush) -> None:
    """Shoulders in clothes that change from image to image."""
    colour = random_colour(rng)
    wide, open_ = rng.uniform(1.1, 1.5), rng.uniform(0.25, 0.5)
    shoulders = [
        (-wide, 2.6),
        (-wide, 1.5),
        (-open_, 1.12),
        (0.0, 1.12 + open_ * 0.6),
        (open_, 1.12),
        (wide, 1.5),
        (wide, 2.6),
    ]
    brush.area(shoulders, colour, depth=0.0)
    brush.stroke(shoulders[2:5], 0.05, shade(colour, 0.7), depth=0.0)
