"""Drawing a dataset: images of plates with annotations in labelme's format."""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from sightline.demo.camera import place_plates
from sightline.demo.difficulty import CONDITIONS, Difficulty
from sightline.demo.glyphs import Points
from sightline.demo.photograph import photograph
from sightline.demo.plates import Kind, Shape
from sightline.demo.scene import paint_scene
from sightline.errors import DataError
from sightline.logs import Progress

DEFAULT_SIZE = (384, 288)
"""Width and height in pixels."""

MIN_SIDE, MAX_SIDE = 96, 4096
MAX_SEED = 2**32 - 1

_LABELME_VERSION = "5.5.0"
_JPEG_QUALITY = 92


@dataclass(frozen=True, slots=True)
class PlateTruth:
    """The ground truth of one plate in an image.

    Attributes:
        kind: ``r_board`` has two lines, ``l_board`` one.
        sub: Two digits and a letter.
        main: Four digits.
        corners: Corners of the board, clockwise from the upper left, (4, 2) pixels.
    """

    kind: Kind
    sub: str
    main: str
    corners: Points


def draw_image(
    seed: int, index: int, difficulty: Difficulty = "easy", size: tuple[int, int] = DEFAULT_SIZE
) -> tuple[Image.Image, list[Shape], list[PlateTruth]]:
    """Draw one image; the same arguments give the same image.

    Args:
        seed: Seed of the dataset, 0 to 2**32 - 1.
        index: Index of the image in the dataset, from 0; images are independent of each other.
        difficulty: Difficulty of reading the plates.
        size: Width and height in pixels, 96 to 4096 each.

    Returns:
        The RGB image; the labeled shapes in pixels, plate by plate (board, sub text box, main text box, the three
        characters of the sub text, the four of the main text); the ground truth of the plates.

    Raises:
        DataError: An argument is out of range.
    """
    _check(seed, index, difficulty, size)
    rng = np.random.default_rng([seed, index])
    conditions = CONDITIONS[difficulty]
    placed = place_plates(rng, conditions, size)
    image = photograph(rng, conditions, paint_scene(rng, conditions, size, placed))
    shapes = [each.seen(shape) for each in placed for shape in each.plate.shapes]
    truths = [PlateTruth(each.plate.kind, each.plate.sub, each.plate.main, each.corners) for each in placed]
    return image, shapes, truths


def draw_dataset(
    folder: Path,
    *,
    images: int,
    seed: int,
    difficulty: Difficulty = "easy",
    size: tuple[int, int] = DEFAULT_SIZE,
    start: int = 0,
    prefix: str = "",
) -> list[Path]:
    """Draw images and their labelme annotations into a folder.

    Files are written atomically and never overwritten: an incomplete folder is completed, and images are added to a
    folder that has other images of the dataset.

    Args:
        folder: Created if it does not exist; must not contain files other than those of this dataset.
        images: Number of images, at least 1.
        seed: Seed of the dataset, 0 to 2**32 - 1; each seed gives different images.
        difficulty: Difficulty of reading the plates.
        size: Width and height in pixels, 96 to 4096 each.
        start: Index of the first image; image ``i`` does not depend on it.
        prefix: Prefix of the file names, before the index.

    Returns:
        The annotation files in the order of their images, which are in the same folder.

    Raises:
        DataError: An argument is out of range, or the folder contains other files or cannot be written.
    """
    _check(seed, start, difficulty, size)
    if images < 1:
        raise DataError(f"number of images {images}: expected at least 1")
    if any(mark in prefix for mark in ("/", "\\", "\0")) or prefix.startswith("."):
        raise DataError(
            f"prefix {prefix!r}: expected the beginning of a file name, without slashes and without a leading dot"
        )
    names = {index: f"{prefix}{index:04d}" for index in range(start, start + images)}
    _prepare(folder, prefix)
    written: list[Path] = []
    with Progress("draw plates", total=images, unit="images") as progress:
        for index, name in progress.track(names.items()):
            image, shapes, _ = draw_image(seed, index, difficulty, size)
            jpeg = io.BytesIO()
            image.save(jpeg, format="JPEG", quality=_JPEG_QUALITY)
            document = labelme_document(f"{name}.jpg", size, shapes)
            _write_once(folder / f"{name}.jpg", jpeg.getvalue())
            _write_once(folder / f"{name}.json", (json.dumps(document, indent=2) + "\n").encode())
            written.append(folder / f"{name}.json")
    return written


def labelme_document(image_path: str, size: tuple[int, int], shapes: Sequence[Shape]) -> dict[str, object]:
    """The annotation of one image in labelme's format.

    Args:
        image_path: Path of the image, relative to the JSON file.
        size: Width and height in pixels.
        shapes: Shapes in pixels; coordinates are rounded to a hundredth.
    """
    return {
        "version": _LABELME_VERSION,
        "flags": {},
        "shapes": [
            {
                "label": shape.label,
                "points": np.round(shape.points, 2).tolist(),
                # labelme merges shapes with the same label and group_id into one instance; equal characters must not.
                "group_id": None,
                "description": "",
                "shape_type": "polygon",
                "flags": {},
                "mask": None,
            }
            for shape in shapes
        ],
        "imagePath": image_path,
        "imageData": None,
        "imageHeight": size[1],
        "imageWidth": size[0],
    }


def _check(seed: int, index: int, difficulty: str, size: tuple[int, int]) -> None:
    if not 0 <= seed <= MAX_SEED:
        raise DataError(f"seed {seed}: expected 0 to {MAX_SEED}")
    if index < 0:
        raise DataError(f"image index {index}: indices start at 0")
    if difficulty not in CONDITIONS:
        raise DataError(f"difficulty {difficulty!r}: expected one of {', '.join(CONDITIONS)}")
    if not all(MIN_SIDE <= side <= MAX_SIDE for side in size):
        raise DataError(f"image size {size[0]}x{size[1]}: each side must be {MIN_SIDE} to {MAX_SIDE} pixels")


def _prepare(folder: Path, prefix: str) -> None:
    """Create the folder; reject one with files other than those of a dataset and of interrupted writes."""
    name = rf"{re.escape(prefix)}\d{{4,}}\.(jpg|json)"
    own = re.compile(rf"{name}|\.{name}\.partial")  # see _temporary
    try:
        folder.mkdir(parents=True, exist_ok=True)
        present = {path.name for path in folder.iterdir()}
    except OSError as error:
        raise DataError(f"{folder}: cannot use it as a folder ({error.strerror}); choose another one") from error
    foreign = sorted(entry for entry in present if not own.fullmatch(entry))
    if foreign:
        more = f" and {len(foreign) - 1} more that are" if len(foreign) > 1 else ", which is"
        raise DataError(
            f"{folder}: contains {foreign[0]}{more} not part of this dataset; draw into a new or empty folder"
        )


def _write_once(path: Path, data: bytes) -> None:
    """Write a file atomically; an existing file must have the same contents."""
    try:
        if path.exists():
            if path.read_bytes() != data:
                raise DataError(
                    f"{path}: already exists with different contents (another seed, difficulty or size?); "
                    "draw into a new folder, or delete this one first"
                )
            return
        temporary = path.with_name(_temporary(path.name))
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise DataError(f"{path}: cannot write the file ({error.strerror}); check disk and permissions") from error


def _temporary(name: str) -> str:
    return f".{name}.partial"
