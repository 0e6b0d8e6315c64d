"""A person: what stays the same from image to image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from sightline.demo.canvas import Colour, shade

Gender = Literal["female", "male"]
Age = Literal["young", "middle", "old"]
GENDERS: tuple[Gender, ...] = get_args(Gender)
AGES: tuple[Age, ...] = get_args(Age)

_TRAITS = tuple((gender, age) for gender in GENDERS for age in AGES)
_SKIN: tuple[Colour, ...] = ((252, 224, 204), (240, 200, 164), (222, 172, 130), (180, 128, 90), (128, 86, 60))
_HAIR: tuple[Colour, ...] = ((24, 20, 20), (58, 38, 26), (104, 66, 36), (186, 144, 78), (134, 56, 32))
_IRIS: tuple[Colour, ...] = ((62, 40, 26), (40, 28, 22), (74, 110, 150), (80, 120, 70))


@dataclass(frozen=True, slots=True)
class Person:
    """The identity of a face.  Lengths are in units of half the height of the head.

    Attributes:
        gender: Short hair and heavy brows, or long hair, lashes and lips.
        age: Wrinkles, hair and glasses tell it.
        skin: Color of the skin.
        hair: Color of the hair.
        iris: Color of the eyes.
        width: Half the width of the head.
        eye_distance: From the middle of the face to the middle of an eye.
        eye_size: Half the width of an eye.
        nose_length: From between the eyes to the tip of the nose.
        mouth_width: Half the width of the mouth.
        brow_tilt: How much the outer end of a brow is lower than the inner one.
        fringe: How far down the hair hangs over the forehead.
        parting: Where the hair parts, -1 to 1.
        glasses: Whether the person wears glasses.
        beard: Whether a man has a short beard.
    """

    gender: Gender
    age: Age
    skin: Colour
    hair: Colour
    iris: Colour
    width: float
    eye_distance: float
    eye_size: float
    nose_length: float
    mouth_width: float
    brow_tilt: float
    fringe: float
    parting: float
    glasses: bool
    beard: bool


def person(seed: int, number: int) -> Person:
    """A person of a dataset; the same arguments give the same one.

    Args:
        seed: Seed of the dataset.
        number: Number of the person, from 0.  Six in a row, from a multiple of six, have all combinations of gender and
            age in random order.
    """
    order = np.random.default_rng([seed, number // len(_TRAITS), len(_TRAITS), 1]).permutation(len(_TRAITS))
    gender, age = _TRAITS[order[number % len(_TRAITS)]]
    rng = np.random.default_rng([seed, number, 2])
    grey = int(rng.integers(172, 236))
    pigment = _HAIR[int(rng.integers(len(_HAIR)))]
    skin = _SKIN[int(rng.integers(len(_SKIN)))]
    return Person(
        gender=gender,
        age=age,
        skin=shade(skin, float(rng.uniform(0.92, 1.04))),
        hair=(grey, grey, min(255, grey + 4)) if age == "old" else shade(pigment, float(rng.uniform(0.8, 1.3))),
        iris=_IRIS[int(rng.integers(len(_IRIS)))],
        width=float(rng.uniform(0.7, 0.84)),
        eye_distance=float(rng.uniform(0.29, 0.36)),
        eye_size=float(rng.uniform(0.125, 0.165)),
        nose_length=float(rng.uniform(0.27, 0.38)),
        mouth_width=float(rng.uniform(0.2, 0.3)),
        brow_tilt=float(rng.uniform(-0.03, 0.07)),
        fringe=float(rng.uniform(0.0, 0.1)),
        parting=float(rng.uniform(-0.6, 0.6)),
        glasses=bool(rng.random() < {"young": 0.1, "middle": 0.3, "old": 0.65}[age]),
        beard=bool(gender == "male" and rng.random() < 0.4),
    )
