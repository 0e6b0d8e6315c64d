"""Settings of the random changes of training images."""

from __future__ import annotations

from pydantic import Field

from sightline.config.section import Fraction, Section


class Augmentation(Section):
    """Random changes of training images."""

    flip: Fraction = Field(0.5, description="Probability of a horizontal flip; 0 where text must stay readable")
    brightness: Fraction = Field(0.2, description="Largest relative change of brightness; 0.2: a factor of 0.8 to 1.2")
    contrast: Fraction = Field(0.2, description="Largest relative change of contrast; 0.2: a factor of 0.8 to 1.2")
    scale: Fraction = Field(0.0, description="Largest random reduction in size; 0.3: a scale of 0.7 to 1")
