"""The difficulty of the images: a table of ranges, in pixels of an image with a longer side of 192."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sightline.demo.photograph import Effects, Range

Difficulty = Literal["easy", "medium", "hard"]


@dataclass(frozen=True, slots=True)
class Conditions:
    """The ranges of one difficulty.

    Attributes:
        one_line_height: Height of a digit on a one-line plate, pixels at ``REFERENCE_SIDE``.
        two_line_height: Height of a digit in the main text of a two-line plate, pixels at ``REFERENCE_SIDE``.
        roll_degrees: Maximum rotation in the image plane, in either direction.
        turn_degrees: Maximum rotation out of the image plane, about either axis, in either direction.
        plate_contrast: Remaining share of the original contrast of a plate; 1 is fresh paint.
        dirt: Maximum number of specks on a plate.
        distractors: Minimum and maximum number of distractors.
        sign_letters: Letters on distractor signs; ``easy`` excludes those that look like characters of a plate.
        effects: Effects of the camera.
    """

    one_line_height: Range
    two_line_height: Range
    roll_degrees: float
    turn_degrees: float
    plate_contrast: Range
    dirt: int
    distractors: tuple[int, int]
    sign_letters: str
    effects: Effects


CONDITIONS: dict[Difficulty, Conditions] = {
    "easy": Conditions(
        one_line_height=(14.5, 18.5),
        two_line_height=(19.5, 22.0),
        roll_degrees=6.0,
        turn_degrees=16.0,
        plate_contrast=(0.9, 1.0),
        dirt=0,
        distractors=(1, 4),
        sign_letters="fhkmnrtuvwxy",
        effects=Effects(blur_sigma=(0.0, 0.3), light=0.5, exposure=(-0.25, 0.2), noise_sigma=(1.0, 4.0)),
    ),
    "medium": Conditions(
        one_line_height=(11.0, 16.0),
        two_line_height=(14.0, 20.0),
        roll_degrees=12.0,
        turn_degrees=28.0,
        plate_contrast=(0.7, 1.0),
        dirt=8,
        distractors=(2, 6),
        sign_letters="fghijklmnopqrstuvwxyz",
        effects=Effects(blur_sigma=(0.1, 0.55), light=0.9, exposure=(-0.6, 0.3), noise_sigma=(2.0, 8.0)),
    ),
    "hard": Conditions(
        one_line_height=(7.5, 13.0),
        two_line_height=(9.5, 16.0),
        roll_degrees=18.0,
        turn_degrees=40.0,
        plate_contrast=(0.45, 0.95),
        dirt=25,
        distractors=(3, 9),
        sign_letters="fghijklmnopqrstuvwxyz",
        effects=Effects(blur_sigma=(0.2, 0.8), light=1.4, exposure=(-1.2, 0.4), noise_sigma=(4.0, 14.0)),
    ),
}
"""The conditions of each difficulty.  The demo uses ``easy``: a small network reads it after a few hundred steps."""
