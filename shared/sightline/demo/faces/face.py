"""Painting a face: head, hair, eyes, nose, mouth, and what age leaves on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sightline.demo.canvas import Canvas, Colour, Points, shade
from sightline.demo.faces.person import Person
from sightline.demo.geometry import circle


@dataclass(frozen=True, slots=True)
class View:
    """A head in the image.

    Attributes:
        centre: (2,), the pixel of the middle of the head.
        scale: Half the height of the head in pixels.
        roll: (2, 2), the rotation in the image plane.
        turn: How far the face is turned to the side, -1 to 1; moves the features, not the head.
        nod: How far the face looks down, -1 to 1.
        mood: From -1, the corners of the mouth down, to 1, up.
        gaze: (2,), where the eyes look, -1 to 1.
    """

    centre: Points
    scale: float
    roll: NDArray[np.float64]
    turn: float
    nod: float
    mood: float
    gaze: Points

    def at(self, points: ArrayLike, depth: float = 1.0) -> Points:
        """Project points of the face to pixels.

        Args:
            points: (N, 2) or (2,), in units of half the height of the head.
            depth: 1 for the front of the face, which moves with turn and nod, and 0 for the middle of the head.
        """
        moved = np.asarray(points, dtype=np.float64) + depth * np.array([0.13 * self.turn, 0.07 * self.nod])
        pixels: Points = self.centre + self.scale * moved @ self.roll.T
        return pixels


class Brush:
    """Paints on a canvas in coordinates of the face.

    Args:
        canvas: The canvas.
        view: The head in the image.
    """

    def __init__(self, canvas: Canvas, view: View) -> None:
        self.canvas = canvas
        self.view = view

    def area(self, points: ArrayLike, colour: Colour, opacity: float = 1.0, depth: float = 1.0) -> None:
        """Fill a polygon, (N, 2)."""
        self.canvas.polygon(self.view.at(points, depth), colour, opacity)

    def oval(
        self, centre: ArrayLike, radii: ArrayLike, colour: Colour, opacity: float = 1.0, depth: float = 1.0
    ) -> None:
        """Fill an ellipse."""
        self.area(circle(centre, radii, corners=28), colour, opacity, depth)

    def stroke(self, points: ArrayLike, width: float, colour: Colour, depth: float = 1.0) -> None:
        """Draw an open polyline, (N, 2)."""
        self.canvas.line(self.view.at(points, depth), width * self.view.scale, colour)


def arc(start: ArrayLike, end: ArrayLike, sag: float) -> Points:
    """A curve between two points that hangs ``sag`` below the line between them in its middle, (9, 2)."""
    share = np.linspace(0.0, 1.0, 9)[:, None]
    curve: Points = (1 - share) * np.asarray(start) + share * np.asarray(end)
    return curve + np.array([0.0, 4 * sag]) * share * (1 - share)


def paint_head(brush: Brush, person: Person) -> None:
    """Paint hair behind the head, neck, ears, and the head with the hair over its forehead."""
    skin, hair, width = person.skin, person.hair, person.width
    if person.gender == "female":
        brush.oval((0.0, 0.08), (width + 0.3, 1.2), hair, depth=0.0)
        brush.area(
            [(-width - 0.3, 0.1), (width + 0.3, 0.1), (width + 0.36, 1.5), (-width - 0.36, 1.5)], hair, depth=0.0
        )
    else:
        brush.oval((0.0, -0.2), (width + 0.09, 0.94), hair, depth=0.0)
    neck = 0.34 if person.gender == "female" else 0.46
    brush.area([(-neck, 0.5), (neck, 0.5), (neck + 0.05, 1.6), (-neck - 0.05, 1.6)], shade(skin, 0.82), depth=0.0)
    for side in (-1, 1):
        brush.oval((side * width, 0.06), (0.1, 0.18), shade(skin, 0.9), depth=0.0)
    jaw = _jaw(person)
    brush.area(jaw, shade(skin, 0.8), depth=0.0)
    brush.area(0.965 * jaw, skin, depth=0.1)
    if person.beard:
        beard = jaw[jaw[:, 1] > 0.28]
        rim = np.concatenate([beard * (0.97, 0.97), arc((-0.62 * width, 0.34), (0.62 * width, 0.34), 0.1)])
        order = np.argsort(np.arctan2(rim[:, 1] - 0.6, rim[:, 0]))
        brush.area(rim[order], shade(hair, 0.9), 0.75, depth=0.3)


def paint_hair(brush: Brush, person: Person) -> None:
    """Paint the hair over the forehead, and strands of gray on a middle-aged person."""
    width, hair = person.width, person.hair
    recede = {"young": 0.0, "middle": 0.1, "old": 0.2}[person.age] if person.gender == "male" else 0.0
    line = -0.57 + person.fringe - recede
    top = circle((0.0, -0.16), (width + 0.05, 0.92), corners=28)
    cap = top[top[:, 1] < -0.42]
    cap = cap[np.argsort(cap[:, 0])]
    part = person.parting * width * 0.6
    edge = [(width * 0.97, -0.28), (width * 0.72, line + 0.02), (part, line - 0.12), (-width * 0.72, line + 0.02)]
    brush.area(np.concatenate([cap, [*edge, (-width * 0.97, -0.28)]]), hair, depth=0.15)
    for side in (-1, 1):
        if person.gender == "female":
            lock = [
                (side * width * 0.8, -0.5),
                (side * (width + 0.12), -0.3),
                (side * (width + 0.2), 0.95),
                (side * width * 0.93, 0.7),
            ]
            brush.area(lock, shade(hair, 0.92), depth=0.05)
        if person.age == "middle":
            for step in range(4):
                x, y = side * width * (1.0 - 0.1 * step), -0.34 - 0.1 * step
                brush.stroke(arc((x, y), (x * 0.86, y - 0.26), -0.03), 0.04, (198, 198, 202), depth=0.15)
    for shift in (-0.45, -0.15, 0.2, 0.5):
        brush.stroke(
            arc((shift * width, -1.0), (shift * width * 1.3, line - 0.12), 0.0), 0.02, shade(hair, 1.25), depth=0.1
        )


def paint_features(brush: Brush, person: Person) -> None:
    """Paint eyes, brows, nose, mouth, wrinkles and glasses."""
    for side in (-1, 1):
        _eye(brush, person, side)
    _wrinkles(brush, person)
    _nose_and_mouth(brush, person)
    if person.glasses:
        _glasses(brush, person)


def _jaw(person: Person) -> Points:
    """The outline of the head: an egg for women, squarer for men."""
    outline = circle((0.0, 0.0), (person.width, 1.0), corners=40)
    low = np.clip(outline[:, 1], 0, 1)
    change = -0.14 * low if person.gender == "female" else 0.13 * low * (1 - low) * 2
    narrowed: Points = outline * np.stack([1 + change, np.ones(len(low))], axis=1)
    return narrowed


def _eye(brush: Brush, person: Person, side: int) -> None:
    size, female = person.eye_size, person.gender == "female"
    centre = np.array([side * person.eye_distance, -0.08])
    inner, outer = centre - np.array([side * size, 0.0]), centre + np.array([side * size, -0.01])
    open_ = 0.62 if female else 0.5
    lid = np.concatenate([arc(inner, outer, -open_ * size), arc(outer, inner, open_ * size)])
    brush.area(lid, (250, 250, 248))
    look = centre + brush.view.gaze * (0.3 * size, 0.12 * size)
    brush.oval(look, (0.5 * size, 0.5 * size), person.iris)
    brush.oval(look, (0.24 * size, 0.24 * size), (8, 8, 10))
    dark = (30, 22, 22)
    brush.stroke(arc(inner, outer, -open_ * size), 0.04 if female else 0.025, dark)
    if female:
        for share, lean in ((0.55, 0.05), (0.8, 0.09), (1.0, 0.12)):
            root = arc(inner, outer, -open_ * size)[round(share * 8)]
            brush.stroke([root, root + np.array([side * lean, -0.09])], 0.03, dark)
    brow = person.hair if person.age == "old" else shade(person.hair, 0.75)
    lift = 0.26 if female else 0.22
    start = centre + np.array([-side * 1.1 * size, -lift])
    end = centre + np.array([side * 1.4 * size, person.brow_tilt - lift])
    brush.stroke(arc(start, end, -0.06), 0.045 if female else 0.11, brow)


def _wrinkles(brush: Brush, person: Person) -> None:
    """None when young; some on the forehead in middle age; many when old, also around the eyes and on the cheeks."""
    crease = shade(person.skin, 0.66)
    lines = {"young": 0, "middle": 2, "old": 3}[person.age]
    for i in range(lines):
        wide = 0.42 * person.width + 0.03 * i
        brush.stroke(arc((-wide, -0.4 - 0.085 * i), (wide, -0.4 - 0.085 * i), -0.03), 0.024, crease)
    for side in (-1, 1):
        centre = np.array([side * person.eye_distance, -0.08])
        if person.age != "young":
            inner, outer = (centre + np.array([x, 0.1]) for x in (-person.eye_size, person.eye_size))
            brush.stroke(arc(inner, outer, 0.05), 0.024, crease)
        if person.age == "old":
            for lift in (-0.07, 0.0, 0.07):
                root = centre + np.array([side * 1.25 * person.eye_size, 0.3 * lift])
                brush.stroke([root, root + np.array([side * 0.13, lift])], 0.024, crease)
            brush.stroke(arc((side * 0.24, 0.22), (side * 0.38, 0.62), 0.0), 0.028, crease)
            brush.stroke(arc((side * 0.44, 0.2), (side * 0.5, 0.55), 0.0), 0.02, crease)


def _nose_and_mouth(brush: Brush, person: Person) -> None:
    skin, tip = person.skin, -0.05 + person.nose_length
    ridge = brush.view.turn * 0.06
    brush.stroke(
        [(ridge + 0.05, -0.02), (ridge + 0.08, tip - 0.04), (ridge - 0.06, tip)], 0.028, shade(skin, 0.74), depth=1.3
    )
    for side in (-1, 1):
        brush.oval((side * 0.06, tip + 0.01), (0.025, 0.018), shade(skin, 0.5), depth=1.3)
    female, width, mood = person.gender == "female", person.mouth_width, brush.view.mood
    mouth = 0.56
    corners = ((-width, mouth - 0.05 * mood), (width, mouth - 0.05 * mood))
    lip = (196, 52, 74) if female else shade(skin, 0.68)
    thick = 0.075 if female else 0.035
    lower, upper = arc(*corners, 0.1 * mood + thick), arc(*corners, 0.1 * mood - thick)
    brush.area(np.concatenate([upper, lower[::-1]]), lip)
    brush.stroke(arc(*corners, 0.1 * mood), 0.022, (110, 34, 40) if female else shade(skin, 0.4))


def _glasses(brush: Brush, person: Person) -> None:
    frame, radius = (34, 30, 36), 1.55 * person.eye_size
    for side in (-1, 1):
        centre = np.array([side * person.eye_distance, -0.07])
        ring = circle(centre, (radius, 0.85 * radius), corners=24)
        brush.area(ring, (210, 225, 240), 0.18)
        brush.stroke(np.concatenate([ring, ring[:1]]), 0.035, frame)
        brush.stroke(
            [centre + np.array([side * radius, 0.0]), (side * person.width * 0.98, -0.1)], 0.035, frame, depth=0.6
        )
    inner = person.eye_distance - radius
    brush.stroke(arc((-inner, -0.09), (inner, -0.09), -0.04), 0.035, frame)
