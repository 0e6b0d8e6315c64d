"""Drawing a dataset of figures: images with polygons and keypoints in labelme's format."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from contourpy import contour_generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from sightline.demo.backgrounds import paint_background
from sightline.demo.canvas import Canvas, Points, random_colour, shade
from sightline.demo.dataset import Layout, check_image, jpeg, write_images
from sightline.demo.figures.body import Figure, Part, figure, random_clothes
from sightline.demo.figures.keypoints import LABEL, NAMES
from sightline.demo.figures.pose import random_pose
from sightline.demo.labelme import LabelmeShape, labelme_json
from sightline.demo.photograph import Effects, photograph
from sightline.errors import DataError

DEFAULT_SIZE = (384, 288)
"""Width and height in pixels."""

_LAYOUT = Layout("figures", {"": ("jpg", "json")})
_EFFECTS = Effects(blur_sigma=(0.0, 0.35), light=0.5, exposure=(-0.25, 0.2), noise_sigma=(1.0, 5.0))
MOST = 3
"""Default of the largest number of figures in an image."""

_SHARES = {1: 0.4, 2: 0.35, 3: 0.25}
"""Shares of the images with that many figures, unless fewer are allowed."""

_HEIGHTS = {1: (0.62, 0.98), 2: (0.55, 0.85), 3: (0.5, 0.72)}
"""Height of a standing figure, as a share of the image's height, by the number of figures."""

_CUT_SHARE, _OBSTACLE_SHARE = 0.12, 0.2
_BORDER = 3.0
_TRIES = 20
_MAX_OVERLAP = 0.2
_CONTOUR_STEP = 3


@dataclass(frozen=True, slots=True)
class FigureTruth:
    """The ground truth of one figure in an image.

    Attributes:
        outline: The polygon around the whole figure, hidden parts included, cut at the border of the image,
            (N, 2) pixels.
        keypoints: (K, 2) pixels, in the order of ``NAMES``.
        visibility: (K,): 2 visible, 1 hidden, 0 outside of the image.
    """

    outline: Points
    keypoints: Points
    visibility: NDArray[np.int64]


def draw_image(
    seed: int, index: int, size: tuple[int, int] = DEFAULT_SIZE, most: int = MOST
) -> tuple[Image.Image, list[FigureTruth]]:
    """Draw one image; the same arguments give the same image.

    Args:
        seed: Seed of the dataset, 0 to 2**32 - 1.
        index: Index of the image in the dataset, from 0; images are independent of each other.
        size: Width and height in pixels, 96 to 4096 each.
        most: Largest number of figures, 1 to 3.

    Returns:
        The RGB image and its figures, one at least, the farthest first.

    Raises:
        DataError: An argument is out of range.
    """
    _check(seed, index, size, most)
    rng = np.random.default_rng([seed, index])
    placed = _place_figures(rng, size, most)
    obstacles = [_obstacle(rng, placed[-1][0])] if rng.random() < _OBSTACLE_SHARE else []
    canvas = paint_background(rng, size)
    for each, _ in placed:
        _shadow(canvas, each)
        _paint(canvas, each.parts)
    _paint(canvas, obstacles)
    image = photograph(rng, _EFFECTS, canvas.finish())
    truths: list[FigureTruth] = []
    for i, (each, outline) in enumerate(placed):
        hidden = each.hidden([*(part for other, _ in placed[i + 1 :] for part in other.parts), *obstacles])
        seen = ((each.keypoints >= 0) & (each.keypoints < size)).all(axis=1)
        truths.append(FigureTruth(outline, each.keypoints, np.where(seen, 2 - hidden, 0)))
    return image, truths


def draw_dataset(
    folder: Path,
    *,
    images: int,
    seed: int,
    size: tuple[int, int] = DEFAULT_SIZE,
    start: int = 0,
    prefix: str = "",
    most: int = MOST,
) -> list[Path]:
    """Draw images of figures and their labelme annotations into a folder.

    Each figure is a polygon, and its keypoints are points with the same ``group_id``.  Hidden ones have the flag
    ``occluded``; those outside of the image are left out.

    Args:
        folder: Created if it does not exist; must not contain files other than those of this dataset.
        images: Number of images, at least 1.
        seed: Seed of the dataset, 0 to 2**32 - 1; each seed gives different images.
        size: Width and height in pixels, 96 to 4096 each.
        start: Index of the first image; image ``i`` does not depend on it.
        prefix: Prefix of the file names, before the index.
        most: Largest number of figures in an image, 1 to 3.

    Returns:
        The annotation files in the order of their images, which are in the same folder.

    Raises:
        DataError: An argument is out of range, or the folder contains other files or cannot be written.
    """
    _check(seed, start, size, most)

    def draw(index: int, name: str) -> dict[str, bytes]:
        image, truths = draw_image(seed, index, size, most)
        shapes = [shape for group, truth in enumerate(truths, start=1) for shape in _shapes(truth, group)]
        return {f"{name}.jpg": jpeg(image), f"{name}.json": labelme_json(f"{name}.jpg", size, shapes)}

    return write_images(folder, _LAYOUT, draw, images=images, start=start, prefix=prefix)


def _check(seed: int, index: int, size: tuple[int, int], most: int) -> None:
    check_image(seed, index, size)
    if most not in _SHARES:
        raise DataError(f"figures {most}: expected 1 to {max(_SHARES)}")


def _shapes(truth: FigureTruth, group: int) -> list[LabelmeShape]:
    points = zip(NAMES, truth.keypoints, truth.visibility, strict=True)
    return [
        LabelmeShape(LABEL, truth.outline, group_id=group),
        *(LabelmeShape(name, at[None], "point", group, occluded=seen == 1) for name, at, seen in points if seen),
    ]


def _place_figures(rng: np.random.Generator, size: tuple[int, int], most: int) -> list[tuple[Figure, Points]]:
    """Figures that hardly overlap, with their outlines, the smallest first."""
    wanted = min(most, int(rng.choice([*_SHARES], p=[*_SHARES.values()])))
    placed: list[tuple[Figure, Points]] = []
    while not placed:
        for _ in range(wanted):
            for _ in range(_TRIES):
                candidate = _place(rng, size, wanted)
                if any(_overlap(candidate, other) for other, _ in placed):
                    continue
                outline = _outline(candidate, size)
                if outline is not None:
                    placed.append((candidate, outline))
                    break
    return sorted(placed, key=lambda each: float(each[0].box[3] - each[0].box[1]))


def _place(rng: np.random.Generator, size: tuple[int, int], count: int) -> Figure:
    pattern = figure(random_pose(rng), random_clothes(rng))
    box = pattern.box
    extent, room = box[2:] - box[:2], np.array(size) - 2 * _BORDER
    scale = min(float(rng.uniform(*_HEIGHTS[count])) * size[1], float((room / extent).min()))
    low = _BORDER + rng.random(2) * (room - scale * extent)
    if rng.random() < _CUT_SHARE:
        cut = rng.uniform(0.05, 0.3) * scale * extent
        sideways, beyond = rng.random() < 0.4, size - scale * extent + cut
        if sideways:
            low[0] = -cut[0] if rng.random() < 0.5 else beyond[0]
        else:
            low[1] = beyond[1]
    return pattern.placed(scale, low - scale * box[:2])


def _overlap(one: Figure, other: Figure) -> bool:
    """Whether the boxes share more of the smaller one than is allowed."""
    a, b = one.box, other.box
    shared = np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None).prod()
    return bool(shared > _MAX_OVERLAP * min((a[2:] - a[:2]).prod(), (b[2:] - b[:2]).prod()))


def _outline(each: Figure, size: tuple[int, int]) -> Points | None:
    """The outline of all parts, cut at the border of the image; None if several pieces of the figure are left."""
    low = np.clip(np.floor(each.box[:2]).astype(int), 0, None)
    high = np.minimum(np.ceil(each.box[2:]).astype(int) + 1, size)
    mask = Image.new("L", (int(high[0] - low[0]), int(high[1] - low[1])), 0)
    draw = ImageDraw.Draw(mask)
    for part in each.parts:
        # Pixel i covers [i, i + 1); Pillow's polygons run through pixel centers.
        draw.polygon((part.outline - low - 0.5).ravel().tolist(), fill=1)
    padded = np.pad(np.asarray(mask, dtype=np.float32), 1)
    lines = [np.asarray(line, dtype=np.float64) for line in contour_generator(z=padded).lines(0.5)]
    areas = [_signed_area(line) for line in lines]
    largest = int(np.argmax(np.abs(areas)))
    pieces = [area for area in areas if area * areas[largest] > 0]  # holes run the other way round
    if len(pieces) > 1:
        return None
    contour = lines[largest][:-1:_CONTOUR_STEP] + low - 0.5
    outline: Points = np.clip(contour, 0, size)
    return outline


def _signed_area(line: Points) -> float:
    x, y = line[:, 0], line[:, 1]
    return float(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]) / 2)


def _obstacle(rng: np.random.Generator, each: Figure) -> Part:
    """A board in front of the feet, or a post in front of the whole figure."""
    left, top, right, bottom = each.box
    width, height = right - left, bottom - top
    if rng.random() < 0.5:
        a, b = left - rng.uniform(0.05, 0.4) * width, right + rng.uniform(0.05, 0.4) * width
        c, d = bottom - rng.uniform(0.12, 0.32) * height, bottom + 0.04 * height
    else:
        a = left + rng.uniform(0.1, 0.8) * width
        b, c, d = a + rng.uniform(0.05, 0.09) * height, top - 0.1 * height, bottom + 0.03 * height
    return Part(np.array([(a, c), (b, c), (b, d), (a, d)]), random_colour(rng, 40, 220))


def _shadow(canvas: Canvas, each: Figure) -> None:
    left, _, right, bottom = each.box
    canvas.ellipse(((left + right) / 2, bottom - 2), ((right - left) * 0.4, (right - left) * 0.07), (10, 10, 12), 0.35)


def _paint(canvas: Canvas, parts: tuple[Part, ...] | list[Part]) -> None:
    """Paint parts over each other, each with a dark edge and a light side."""
    for part in parts:
        if part.flat:
            canvas.polygon(part.outline, part.colour)
            continue
        middle = part.outline.mean(axis=0)
        around = part.outline - middle
        canvas.polygon(part.outline, shade(part.colour, 0.62))
        canvas.polygon(middle + 0.9 * around, part.colour)
        extent = np.ptp(part.outline, axis=0).min()
        canvas.polygon(middle + 0.6 * around - 0.07 * extent, shade(part.colour, 1.18), 0.5)
