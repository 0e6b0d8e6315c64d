"""Drawing a dataset of plates: images of plates with annotations in labelme's format."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from sightline.demo.canvas import Points
from sightline.demo.dataset import Layout, check_image, jpeg, write_images
from sightline.demo.labelme import LabelmeShape, labelme_json
from sightline.demo.photograph import photograph
from sightline.demo.plates.camera import place_plates
from sightline.demo.plates.difficulty import CONDITIONS, Difficulty
from sightline.demo.plates.plate import Kind, Shape
from sightline.demo.plates.scene import paint_scene
from sightline.errors import DataError

DEFAULT_SIZE = (384, 288)
"""Width and height in pixels."""

_LAYOUT = Layout("plates", {"": ("jpg", "json")})


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
    image = photograph(rng, conditions.effects, paint_scene(rng, conditions, size, placed))
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

    def draw(index: int, name: str) -> dict[str, bytes]:
        image, shapes, _ = draw_image(seed, index, difficulty, size)
        outlines = [LabelmeShape(shape.label, shape.points) for shape in shapes]
        return {f"{name}.jpg": jpeg(image), f"{name}.json": labelme_json(f"{name}.jpg", size, outlines)}

    return write_images(folder, _LAYOUT, draw, images=images, start=start, prefix=prefix)


def _check(seed: int, index: int, difficulty: str, size: tuple[int, int]) -> None:
    check_image(seed, index, size)
    if difficulty not in CONDITIONS:
        raise DataError(f"difficulty {difficulty!r}: expected one of {', '.join(CONDITIONS)}")
