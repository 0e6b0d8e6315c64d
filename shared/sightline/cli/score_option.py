"""The type of options that are a score."""

from __future__ import annotations

import math
from typing import Any

import click


class ScoreType(click.FloatRange):
    """A number from 0 to 1.  click takes NaN as one, and no prediction has a score of at least NaN."""

    def __init__(self) -> None:
        super().__init__(0, 1)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:  # noqa: ANN401
        """The number.

        Raises:
            click.BadParameter: It is not from 0 to 1.
        """
        number = float(super().convert(value, param, ctx))
        if math.isnan(number):
            self.fail(f"{value!r} is not a number from 0 to 1.", param, ctx)
        return number
