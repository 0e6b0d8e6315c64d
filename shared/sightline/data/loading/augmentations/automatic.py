"""Changes drawn from a fixed set of operations: TrivialAugment and RandAugment."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from sightline.config.augmentation import MAGNITUDES, RandAugment, TrivialAugment
from sightline.data.loading.augmentations.context import Context
from sightline.data.loading.geometry import Matrix, rotation, shift
from sightline.data.loading.scene import Scene


@dataclass(frozen=True, slots=True)
class Operation:
    """A change of a scene by an amount.

    Attributes:
        apply: Changes a scene by an amount.
        wide: Largest amount of TrivialAugment (https://arxiv.org/abs/2103.10158, table 6, wide).
        usual: Largest amount of RandAugment (https://arxiv.org/abs/1909.13719).
        signed: Whether the amount has a random sign.
    """

    apply: Callable[[Scene, float], Scene]
    wide: float = 0.0
    usual: float = 0.0
    signed: bool = False


def trivial_augment(scene: Scene, context: Context, settings: TrivialAugment) -> Scene:  # noqa: ARG001  (no setting)
    """Apply one operation with a random magnitude."""
    return _applied(scene, context, "wide", int(context.random.integers(MAGNITUDES + 1)))


def rand_augment(scene: Scene, context: Context, settings: RandAugment) -> Scene:
    """Apply several random operations with the same magnitude."""
    for _ in range(settings.operations):
        scene = _applied(scene, context, "usual", settings.magnitude)
    return scene


def _applied(scene: Scene, context: Context, space: str, magnitude: int) -> Scene:
    operation = list(OPERATIONS.values())[context.random.integers(len(OPERATIONS))]
    amount = getattr(operation, space) * magnitude / MAGNITUDES
    is_negative = bool(context.random.integers(2))
    return operation.apply(scene, -amount if operation.signed and is_negative else amount)


def _around_center(scene: Scene, matrix: Matrix) -> Scene:
    x, y = scene.width / 2, scene.height / 2
    return scene.moved(shift(x, y) @ matrix @ shift(-x, -y))


def _shear_x(scene: Scene, amount: float) -> Scene:
    return _around_center(scene, np.array([[1.0, amount, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]))


def _shear_y(scene: Scene, amount: float) -> Scene:
    return _around_center(scene, np.array([[1.0, 0.0, 0.0], [amount, 1.0, 0.0], [0.0, 0.0, 1.0]]))


def _enhance(scene: Scene, amount: float, kind: Callable[[Image.Image], Any]) -> Scene:
    return replace(scene, image=kind(scene.image).enhance(1 + amount))


def _sharpness(scene: Scene, amount: float) -> Scene:
    return _enhance(scene.settled(), amount, ImageEnhance.Sharpness)


def _posterize(scene: Scene, bits: float) -> Scene:
    return replace(scene, image=ImageOps.posterize(scene.image, 8 - round(bits)))


def _solarize(scene: Scene, share: float) -> Scene:
    return replace(scene, image=ImageOps.solarize(scene.image, math.ceil(255 * (1 - share))))


OPERATIONS = {
    "identity": Operation(lambda scene, _: scene),
    "shear_x": Operation(_shear_x, 0.99, 0.3, signed=True),
    "shear_y": Operation(_shear_y, 0.99, 0.3, signed=True),
    # Shifts are relative to the sides; the 32 pixels of TrivialAugment are those of an image of 224 pixels.
    "translate_x": Operation(lambda s, share: s.moved(shift(share * s.width, 0)), 32 / 224, 150 / 331, signed=True),
    "translate_y": Operation(lambda s, share: s.moved(shift(0, share * s.height)), 32 / 224, 150 / 331, signed=True),
    "rotate": Operation(lambda scene, degrees: _around_center(scene, rotation(degrees)), 135.0, 30.0, signed=True),
    "brightness": Operation(partial(_enhance, kind=ImageEnhance.Brightness), 0.99, 0.9, signed=True),
    "color": Operation(partial(_enhance, kind=ImageEnhance.Color), 0.99, 0.9, signed=True),
    "contrast": Operation(partial(_enhance, kind=ImageEnhance.Contrast), 0.99, 0.9, signed=True),
    "sharpness": Operation(_sharpness, 0.99, 0.9, signed=True),
    "posterize": Operation(_posterize, 6.0, 4.0),
    "solarize": Operation(_solarize, 1.0, 1.0),
    "autocontrast": Operation(lambda scene, _: replace(scene, image=ImageOps.autocontrast(scene.image))),
    "equalize": Operation(lambda scene, _: replace(scene, image=ImageOps.equalize(scene.image))),
}
"""The operations of both methods; those that only move are combined with other movements, and resampled once."""
