"""Painting a scene: background, vehicles, distractors, and plates on top."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from sightline.demo.backgrounds import paint_background
from sightline.demo.canvas import Canvas, Points, random_colour, random_grey, shade
from sightline.demo.plates.camera import PlacedPlate
from sightline.demo.plates.difficulty import Conditions
from sightline.demo.plates.glyphs import glyph
from sightline.demo.plates.plate import Shape, rounded_rectangle

_OVERSAMPLING = 3
"""Plates are painted this many times larger and then downscaled."""

_VEHICLE_SHARE = 0.75


def paint_scene(
    rng: np.random.Generator, conditions: Conditions, size: tuple[int, int], plates: list[PlacedPlate]
) -> Image.Image:
    """Paint the scene that the camera sees.

    Args:
        rng: Source of all random choices.
        conditions: Ranges for the difficulty.
        size: Width and height in pixels.
        plates: The plates, painted last, over everything else.

    Returns:
        An evenly lit RGB image, sharp and without noise.
    """
    canvas = paint_background(rng, size)
    distractors = int(rng.integers(conditions.distractors[0], conditions.distractors[1] + 1))
    for _ in range(distractors):
        _distractor(rng, canvas, conditions.sign_letters)
    for placed in plates:
        if rng.random() < _VEHICLE_SHARE:
            _vehicle(rng, canvas, placed.corners)
    if not plates and rng.random() < _VEHICLE_SHARE:
        centre, half = rng.uniform(0.2, 0.8, size=2) * size, size[0] * rng.uniform(0.1, 0.25)
        _vehicle(rng, canvas, centre + half * np.array([(-1, -0.3), (1, -0.3), (1, 0.3), (-1, 0.3)]))
    for placed in plates:
        _drop_shadow(rng, canvas, placed.corners)
    image = canvas.finish()
    for placed in plates:
        _paint_plate(rng, image, placed, conditions.dirt)
    return image


def _distractor(rng: np.random.Generator, canvas: Canvas, letters: str) -> None:
    """An object that is not a plate: a sign with words, a round or triangular sign, a post, a box."""
    size = np.array(canvas.size)
    centre = rng.random(2) * size
    radius = size[1] * rng.uniform(0.05, 0.16)
    kind = rng.choice(["words", "words", "round", "triangle", "post", "box"])
    if kind == "words":
        _word_sign(rng, canvas, centre, radius, letters)
    elif kind == "round":
        canvas.ellipse(centre, (radius, radius), random_colour(rng))
        canvas.ellipse(centre, (0.75 * radius, 0.75 * radius), random_grey(rng, 190, 250))
        bar = radius * np.array([0.5, 0.13])
        canvas.rectangle(centre - bar, centre + bar, (40, 40, 60))
    elif kind == "triangle":
        triangle = np.array([(0.0, -1.0), (0.95, 0.75), (-0.95, 0.75)])
        canvas.polygon(centre + radius * triangle, (196, 40, 36))
        canvas.polygon(centre + radius * (0.62 * triangle + np.array([0.0, 0.08])), (240, 214, 70))
    elif kind == "post":
        half = radius * rng.uniform(0.1, 0.4)
        colours = random_colour(rng), random_grey(rng, 150, 250)
        for step, y in enumerate(np.arange(centre[1], size[1], 2.5 * radius)):
            canvas.rectangle((centre[0] - half, y), (centre[0] + half, y + 2.5 * radius), colours[step % 2])
    else:
        half_box = radius * rng.uniform(0.5, 2.0, size=2)
        colour = random_colour(rng)
        canvas.rectangle(centre - half_box, centre + half_box, colour)
        canvas.rectangle(centre - 0.8 * half_box, centre + 0.8 * half_box, shade(colour, rng.uniform(0.6, 1.4)))


def _word_sign(rng: np.random.Generator, canvas: Canvas, centre: Points, radius: float, letters: str) -> None:
    """A sign with letters that do not occur on plates."""
    word = [letters[i] for i in rng.integers(len(letters), size=int(rng.integers(2, 7)))]
    digit = radius * rng.uniform(0.4, 0.9)
    angle = np.deg2rad(rng.normal(0.0, 5.0))
    turn = np.array([(np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))]) * digit
    width = sum(glyph(letter).width + 0.15 for letter in word)
    ground = random_colour(rng)
    paint = (245, 245, 240) if sum(ground) < 384 else (25, 25, 30)
    canvas.polygon(centre + rounded_rectangle(width + 0.9, 2.0, 0.3) @ turn, paint)
    canvas.polygon(centre + rounded_rectangle(width + 0.75, 1.85, 0.25) @ turn, ground)
    left = -width / 2
    for letter in word:
        outline, place = glyph(letter), np.array([left, 0.4])
        canvas.polygon(centre + (outline.outer + place) @ turn, paint)
        for hole in outline.holes:
            canvas.polygon(centre + (hole + place) @ turn, ground)
        left += outline.width + 0.15


def _vehicle(rng: np.random.Generator, canvas: Canvas, corners: Points) -> None:
    """The rear of a car around the corners of the plate: body, window, lights, bumper, tires, shadow."""
    centre = corners.mean(axis=0)
    along = (corners[1] - corners[0] + corners[2] - corners[3]) / 2
    # Real cars are about three times as wide as a plate; with a one-line plate such a car would fill the image.
    unit = along * rng.uniform(0.8, 1.1)
    frame = np.stack([unit, np.array([-unit[1], unit[0]])])
    body = random_grey(rng, 25, 235) if rng.random() < 0.5 else random_colour(rng)
    half, top, low = rng.uniform(0.9, 1.25), rng.uniform(0.3, 0.55), rng.uniform(0.3, 0.5)
    roof = top + rng.uniform(0.35, 0.7)

    def part(points: list[tuple[float, float]], factor: float, opacity: float = 1.0) -> None:
        canvas.polygon(centre + np.array(points) @ frame, shade(body, factor), opacity)

    def mirrored(points: list[tuple[float, float]], colour: tuple[int, int, int]) -> None:
        for side in (-1, 1):
            canvas.polygon(centre + (np.array(points) * (side, 1)) @ frame, colour)

    ground = low + 0.16
    canvas.polygon(centre + rounded_rectangle(2.3 * half, 0.2, 0.1, (0.0, ground)) @ frame, (15, 15, 18), 0.6)
    mirrored([(half - 0.28, low), (half - 0.04, low), (half - 0.06, ground), (half - 0.26, ground)], (22, 22, 24))
    part([(-half * 0.72, -roof), (half * 0.72, -roof), (half * 0.95, -top), (-half * 0.95, -top)], 0.85)
    glass = [(-half * 0.64, -roof + 0.07), (half * 0.64, -roof + 0.07), (half * 0.84, -top), (-half * 0.84, -top)]
    canvas.polygon(centre + np.array(glass) @ frame, random_grey(rng, 20, 110))
    hull = rounded_rectangle(2 * half, top + low, 0.12, (0.0, (low - top) / 2))
    canvas.polygon(centre + hull @ frame, body)
    part([(-half, low - 0.16), (half, low - 0.16), (half * 0.98, low), (-half * 0.98, low)], rng.uniform(0.4, 0.75))
    part([(-half, -top + 0.08), (half, -top + 0.08), (half, -top + 0.1), (-half, -top + 0.1)], 0.7)
    lamp = (190, 30, 30) if rng.random() < 0.6 else (235, 232, 210)
    deep = rng.uniform(0.1, 0.22)
    mirrored([(half * 0.72, -top + 0.1), (half, -top + 0.1), (half, -top + 0.1 + deep), (half * 0.78, -0.05)], lamp)


def _drop_shadow(rng: np.random.Generator, canvas: Canvas, corners: Points) -> None:
    down = 0.02 * float(np.linalg.norm(corners[1] - corners[0]))
    centre = corners.mean(axis=0)
    for grow, opacity in ((1.06, 0.2), (1.03, 0.35)):
        canvas.polygon(centre + (corners - centre) * grow + (down * rng.uniform(-1, 1), down), (0, 0, 0), opacity)


def _paint_plate(rng: np.random.Generator, image: Image.Image, placed: PlacedPlate, dirt: int) -> None:
    """Paint board, border, bolts and characters over the image, in place."""
    plate = placed.plate
    board = placed.seen(plate.board).points
    low = np.floor(board.min(axis=0)).astype(int) - 1
    high = np.ceil(board.max(axis=0)).astype(int) + 2
    box = (int(low[0]), int(low[1]), int(high[0]), int(high[1]))
    large = ((box[2] - box[0]) * _OVERSAMPLING, (box[3] - box[1]) * _OVERSAMPLING)
    layer, mask = Image.new("RGB", large, plate.ground), Image.new("L", large, 0)
    draw = ImageDraw.Draw(layer)

    def flat(points: Points) -> list[float]:
        # Pixel i of the large layer covers [i, i + 1); Pillow's polygons run through pixel centers.
        return [float(value) for value in ((points - low) * _OVERSAMPLING - 0.5).ravel()]

    def in_plane(points: Points) -> list[float]:
        return flat(placed.pose.project(points))

    ImageDraw.Draw(mask).polygon(flat(board), fill=255)
    draw.polygon(in_plane(rounded_rectangle(plate.width - 0.12, plate.height - 0.12, 0.18)), fill=plate.paint)
    draw.polygon(in_plane(rounded_rectangle(plate.width - 0.24, plate.height - 0.24, 0.14)), fill=plate.ground)
    for side in (-1, 1):
        bolt = rounded_rectangle(0.14, 0.14, 0.06, (side * plate.width * 0.36, -plate.height / 2 + 0.2))
        draw.polygon(in_plane(bolt), fill=(150, 150, 150))
    for character in plate.characters:
        seen: Shape = placed.seen(character)
        draw.polygon(flat(seen.points), fill=plate.paint)
        for hole in seen.holes:
            draw.polygon(flat(hole), fill=plate.ground)
    for _ in range(int(rng.integers(0, dirt + 1))):
        speck = rounded_rectangle(0.15, 0.12, 0.05) * rng.uniform(0.3, 1.6)
        where = rng.uniform(-0.5, 0.5, size=2) * (plate.width, plate.height)
        draw.polygon(in_plane(speck + where), fill=shade((120, 100, 80), rng.uniform(0.5, 1.4)))
    image.paste(layer.reduce(_OVERSAMPLING), box[:2], mask.reduce(_OVERSAMPLING))
