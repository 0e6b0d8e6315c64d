"""The difficulty of the images: one table of ranges, in pixels of an image with a longer side of 192."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Difficulty = Literal["easy", "medium", "hard"]

REFERENCE_SIDE = 192
"""Longer side of the image that the lengths below are meant for; other sizes scale them."""

Range = tuple[float, float]
"""Least and greatest value; drawn uniformly."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """The ranges that one difficulty draws from.

    Attributes:
        one_line_height: Height of a digit on a one-line plate, pixels at ``REFERENCE_SIDE``.
        two_line_height: Height of a digit in the main text of a two-line plate, pixels at ``REFERENCE_SIDE``.
        roll_degrees: Greatest rotation within the image, either way.
        turn_degrees: Greatest turn out of the image, about either axis, either way.
        plate_contrast: Share of the plate's own contrast that is left; 1 is fresh paint.
        dirt: Greatest number of specks on a plate.
        distractors: Least and greatest number of things that are no plates.
        sign_letters: What distractor signs show; ``easy`` leaves out what looks like a character of a plate.
        blur_sigma: Standard deviation of the blur, pixels at ``REFERENCE_SIDE``.
        light: Greatest change of the light across the image, in powers of two.
        exposure: Change of the light of the whole image, in powers of two.
        noise_sigma: Standard deviation of the sensor's noise, in grey levels of 255.
    """

    one_line_height: Range
    two_line_height: Range
    roll_degrees: float
    turn_degrees: float
    plate_contrast: Range
    dirt: int
    distractors: tuple[int, int]
    sign_letters: str
    blur_sigma: Range
    light: float
    exposure: Range
    noise_sigma: Range


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
        blur_sigma=(0.0, 0.3),
        light=0.5,
        exposure=(-0.25, 0.2),
        noise_sigma=(1.0, 4.0),
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
        blur_sigma=(0.1, 0.55),
        light=0.9,
        exposure=(-0.6, 0.3),
        noise_sigma=(2.0, 8.0),
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
        blur_sigma=(0.2, 0.8),
        light=1.4,
        exposure=(-1.2, 0.4),
        noise_sigma=(4.0, 14.0),
    ),
}
"""What each difficulty means.  ``easy`` is the demo's: a small network reads it after a few hundred steps."""
