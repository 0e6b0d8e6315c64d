"""The placement of plates in an image: position, size, rotation and perspective."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sightline.demo.canvas import Points
from sightline.demo.photograph import REFERENCE_SIDE
from sightline.demo.plates.difficulty import Conditions
from sightline.demo.plates.plate import Plate, Shape, random_plate

_BORDER = 3.0
"""Minimum distance in pixels between a plate and the border of the image."""

_TRIES = 20
_NO_PLATE, _SECOND_PLATE = 0.08, 0.25
"""Share of images without a plate, and share of images that try to place two."""


@dataclass(frozen=True, slots=True)
class Pose:
    """A plane seen by a camera.

    Attributes:
        rotation: (3, 3), from coordinates of the plane to those of the camera.
        distance: Distance from the camera to the origin of the plane, in units of the plane.
        scale: Pixels per unit at the origin of the plane.
        centre: (2,), the pixel that shows the origin of the plane.
    """

    rotation: NDArray[np.float64]
    distance: float
    scale: float
    centre: NDArray[np.float64]

    def project(self, points: Points) -> Points:
        """Project points of the plane (N, 2) to pixels (N, 2)."""
        turned = points @ self.rotation[:, :2].T
        return self.centre + self.scale * turned[:, :2] / (1.0 + turned[:, 2:] / self.distance)


@dataclass(frozen=True, slots=True)
class PlacedPlate:
    """A plate in an image.

    Attributes:
        plate: The plate in its own coordinates.
        pose: Its pose relative to the camera.
    """

    plate: Plate
    pose: Pose

    @property
    def corners(self) -> Points:
        """The corners of the board, clockwise from the upper left, (4, 2) pixels."""
        half = np.array([self.plate.width, self.plate.height]) / 2
        return self.pose.project(half * np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]))

    def seen(self, shape: Shape) -> Shape:
        """Project a shape to pixels."""
        project = self.pose.project
        return Shape(shape.label, project(shape.points), tuple(project(hole) for hole in shape.holes))


def place_plates(rng: np.random.Generator, conditions: Conditions, size: tuple[int, int]) -> list[PlacedPlate]:
    """Choose poses for zero, one or two plates that do not touch.

    Args:
        rng: Source of all random choices.
        conditions: Ranges for the difficulty.
        size: Width and height of the image in pixels.

    Returns:
        The plates, with their boards completely inside the image.
    """
    draw = rng.random()
    wanted = 0 if draw < _NO_PLATE else 2 if draw < _NO_PLATE + _SECOND_PLATE else 1
    placed: list[PlacedPlate] = []
    for _ in range(wanted):
        for _ in range(_TRIES):
            candidate = _place(rng, conditions, size, small=wanted > 1)
            if not any(_boxes_touch(candidate.corners, other.corners) for other in placed):
                placed.append(candidate)
                break
    return placed


def _place(rng: np.random.Generator, conditions: Conditions, size: tuple[int, int], small: bool) -> PlacedPlate:
    plate = random_plate(rng, float(rng.uniform(*conditions.plate_contrast)))
    low, high = conditions.two_line_height if plate.kind == "r_board" else conditions.one_line_height
    digit = rng.uniform(low, low + (high - low) * (0.4 if small else 1.0))
    roll = np.deg2rad(rng.uniform(-conditions.roll_degrees, conditions.roll_degrees))
    pitch, yaw = np.deg2rad(rng.uniform(-conditions.turn_degrees, conditions.turn_degrees, size=2))
    distance = plate.width * rng.uniform(2.5, 5.0)
    rotation = _about(2, roll) @ _about(0, pitch) @ _about(1, yaw)
    flat = PlacedPlate(plate, Pose(rotation, distance, 1.0, np.zeros(2))).corners
    extent = flat.max(axis=0) - flat.min(axis=0)
    room = np.array(size) - 2 * _BORDER
    scale = min(digit * max(size) / REFERENCE_SIDE, float((room / extent).min()))
    centre = _BORDER - scale * flat.min(axis=0) + rng.random(2) * (room - scale * extent)
    return PlacedPlate(plate, Pose(rotation, distance, scale, centre))


def _about(axis: int, angle: float) -> NDArray[np.float64]:
    """The matrix of a rotation about one axis of the camera."""
    first, second = (i for i in range(3) if i != axis)
    matrix = np.eye(3)
    matrix[first, first] = matrix[second, second] = np.cos(angle)
    matrix[first, second], matrix[second, first] = -np.sin(angle), np.sin(angle)
    return matrix


def _boxes_touch(one: Points, other: Points) -> bool:
    apart = (one.max(axis=0) + _BORDER < other.min(axis=0)) | (other.max(axis=0) + _BORDER < one.min(axis=0))
    return not bool(apart.any())
