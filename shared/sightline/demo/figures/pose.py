"""The pose of a figure: its joints in space.

The unit is about the height of a standing figure.  The origin is the middle of the hips, x points right, y down and z
away from the camera.  A figure with ``yaw`` 0 faces the camera, so that its left is on the right of the image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Point3 = NDArray[np.float64]
"""(3,), x, y and z."""

SIDES = {"left": 1.0, "right": -1.0}
"""The sign of x on each side of a figure that faces the camera."""

_BACK_SHARE = 0.1
_HIP, _SHOULDER, _TORSO = 0.075, 0.13, 0.3
_UPPER_ARM, _FOREARM, _THIGH, _SHIN, _FOOT = 0.165, 0.155, 0.235, 0.225, 0.075
_HEAD_HEIGHT, _NOSE_FORWARD = 0.145, 0.08


@dataclass(frozen=True, slots=True)
class Pose:
    """A figure in space.

    Attributes:
        joints: The keypoints and ``head`` (its middle), ``neck``, ``left_hand``, ``left_toe`` and those of the right.
        facing: -1 if the figure faces the camera, 1 if it turns its back; the z of a unit vector to its front.
    """

    joints: dict[str, Point3]
    facing: float


def random_pose(rng: np.random.Generator) -> Pose:
    """Choose the directions of all limbs, the turn and the tilt of the figure at random."""
    up = _direction(np.pi + _degrees(rng, -9, 9), _degrees(rng, -8, 12))
    joints = {"neck": _TORSO * up}
    joints["head"] = joints["neck"] + _HEAD_HEIGHT * _direction(np.pi + _degrees(rng, -14, 14), 0.0)
    joints["nose"] = joints["head"] + np.array([0.0, 0.012, -_NOSE_FORWARD])
    for side, sign in SIDES.items():
        joints |= {f"{side}_{name}": point for name, point in _arm(rng, joints["neck"], sign).items()}
        joints |= {f"{side}_{name}": point for name, point in _leg(rng, sign).items()}
    yaw = np.clip(rng.normal(0.0, 25.0), -55.0, 55.0) + (180.0 if rng.random() < _BACK_SHARE else 0.0)
    turn = _tilt(_degrees(rng, -13, 13)) @ _yaw(np.deg2rad(yaw))
    return Pose({name: turn @ point for name, point in joints.items()}, float(-np.cos(np.deg2rad(yaw))))


def _arm(rng: np.random.Generator, neck: Point3, sign: float) -> dict[str, Point3]:
    """An arm hangs, is stretched, is bent upwards as for waving, or inwards as for a hand on the hip."""
    mirror = np.array([sign, 1.0, 1.0])
    shoulder = neck + np.array([sign * _SHOULDER, 0.025, 0.0])
    hanging, stretched = _degrees(rng, 6, 30), _degrees(rng, 20, 165)
    raised = hanging if rng.random() < 0.35 else stretched
    bend = _degrees(rng, 20, 120) if rng.random() < 0.5 else -_degrees(rng, 0, 105)
    if raised + bend > np.deg2rad(215.0):
        bend = -bend
    elbow = shoulder + mirror * _UPPER_ARM * _direction(raised, _degrees(rng, -15, 30))
    forearm = mirror * _direction(raised + bend, _degrees(rng, -5, 40))
    wrist = elbow + _FOREARM * forearm
    return {"shoulder": shoulder, "elbow": elbow, "wrist": wrist, "hand": wrist + 0.038 * forearm}


def _leg(rng: np.random.Generator, sign: float) -> dict[str, Point3]:
    """A leg stands, is spread, or is raised with a bent knee."""
    mirror = np.array([sign, 1.0, 1.0])
    hip = np.array([sign * _HIP, 0.0, 0.0])
    spread, forward = _degrees(rng, 2, 24), _degrees(rng, -15, 25)
    bend, inward = _degrees(rng, 0, 20), _degrees(rng, 0, 14)
    if rng.random() < 0.2:
        spread, forward = _degrees(rng, 10, 65), _degrees(rng, 20, 55)
        bend, inward = _degrees(rng, 40, 90), _degrees(rng, 10, 75)
    knee = hip + mirror * _THIGH * _direction(spread, forward)
    ankle = knee + mirror * _SHIN * _direction(spread - inward, forward - bend)
    toe = ankle + mirror * _FOOT * np.array([0.55, 0.5, -0.65])
    return {"hip": hip, "knee": knee, "ankle": ankle, "toe": toe}


def _direction(outward: float, forward: float) -> Point3:
    """A unit vector that points down at 0, to the left of the figure at ``outward`` 90 degrees."""
    return np.array([np.sin(outward), np.cos(outward) * np.cos(forward), -abs(np.cos(outward)) * np.sin(forward)])


def _yaw(angle: float) -> NDArray[np.float64]:
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([(cos, 0.0, sin), (0.0, 1.0, 0.0), (-sin, 0.0, cos)])


def _tilt(angle: float) -> NDArray[np.float64]:
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([(cos, -sin, 0.0), (sin, cos, 0.0), (0.0, 0.0, 1.0)])


def _degrees(rng: np.random.Generator, low: float, high: float) -> float:
    """A random angle in radians, from limits in degrees."""
    return float(np.deg2rad(rng.uniform(low, high)))
