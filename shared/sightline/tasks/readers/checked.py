"""A reader whose faults are errors that name it."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from sightline.errors import ConfigurationError, StepError
from sightline.metrics.exact_match import Reader, Reading


def names_of_parts(name: str, reader: Reader) -> tuple[Sequence[str], str]:
    """The optional attributes of a reader: the names of the texts of a reading, and that of a structure.

    Args:
        name: Its name in the configuration.
        reader: The reader.

    Raises:
        ConfigurationError: They are not texts.
    """
    try:
        parts, noun = getattr(reader, "parts", ()), getattr(reader, "noun", "structure")
    except Exception as error:
        raise ConfigurationError(f"reading: {name} failed in parts or noun ({_shown(error)})") from error
    if not isinstance(parts, tuple | list) or not all(isinstance(part, str) for part in parts):
        raise ConfigurationError(f"reading: {name} has parts {parts!r}; expected a tuple of the names of its texts")
    if not isinstance(noun, str):
        raise ConfigurationError(f"reading: {name} has the noun {noun!r}; expected the name of a structure")
    return parts, noun


class CheckedReader:
    """Calls a reader, and checks what it returns.

    Args:
        name: Its name in the configuration.
        reader: The reader.

    Raises:
        ConfigurationError: Its ``parts`` or ``noun`` are not texts.

    Attributes:
        parts: Names of the texts of a reading; empty if the reader does not name them.
        noun: Name of a structure, such as ``plate``.
    """

    def __init__(self, name: str, reader: Reader) -> None:
        self._name, self.reader = name, reader
        self.parts, self.noun = names_of_parts(name, reader)

    def read(
        self,
        boxes_xyxy: npt.NDArray[np.floating[Any]],
        scores: npt.NDArray[np.floating[Any]],
        category_ids: npt.NDArray[np.integer[Any]],
    ) -> list[Reading]:
        """See :meth:`sightline.metrics.exact_match.Reader.read`.

        Raises:
            StepError: The reader raised an exception, or returned something else.
        """
        try:
            # Copies, because predictions that a reader changed would spoil all other results.
            readings = self.reader.read(boxes_xyxy.copy(), scores.copy(), category_ids.copy())
        except (Exception, SystemExit) as error:
            raise StepError(f"{self._failed('read')} on {len(scores)} boxes ({_shown(error)}); {_REMEDY}") from error
        if not isinstance(readings, list) or not all(isinstance(reading, Reading) for reading in readings):
            kinds = sorted({type(reading).__name__ for reading in readings}) if isinstance(readings, list) else []
            returned = f"a list of {', '.join(kinds)}" if kinds else type(readings).__name__
            raise StepError(
                f"{self._failed('read')}: it returned {returned}; expected a list of "
                f"sightline.metrics.exact_match.Reading; {_REMEDY}"
            )
        for reading in readings:
            if fault := _fault(reading):
                raise StepError(f"{self._failed('read')}: a reading has {fault}; {_REMEDY}")
        return [_plain(reading) for reading in readings]

    def same(self, read: Reading, true: Reading) -> bool:
        """See :meth:`sightline.metrics.exact_match.Reader.same`.

        Raises:
            StepError: The reader raised an exception, or returned something else.
        """
        try:
            same = self.reader.same(read, true)
        except (Exception, SystemExit) as error:
            raise StepError(f"{self._failed('same')} for {read.texts} ({_shown(error)}); {_REMEDY}") from error
        if not isinstance(same, bool | np.bool_):
            raise StepError(f"{self._failed('same')}: it returned {same!r}; expected True or False; {_REMEDY}")
        return bool(same)

    def _failed(self, method: str) -> str:
        return f"the reader {self._name} failed in {method}"


_REMEDY = "correct it, or set reading=none"


def _shown(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _fault(reading: Reading) -> str:
    """What is wrong with the values of a reading; empty: nothing."""
    if not isinstance(reading.kind, str):
        return f"the kind {reading.kind!r}, expected a string"
    if not isinstance(reading.texts, tuple) or not all(isinstance(text, str) for text in reading.texts):
        return f"the texts {reading.texts!r}, expected a tuple of strings"
    for name, pair in (("center", reading.centre_xy), ("size", reading.size_wh), ("score", (reading.score, 0.0))):
        if not isinstance(pair, tuple | list) or len(pair) != 2 or not all(map(_is_finite, pair)):
            shown, expected = (pair[0], "a finite number") if name == "score" else (pair, "two finite numbers")
            return f"the {name} {reprlib.repr(shown)}, expected {expected}"
    if not isinstance(reading.complete, bool | np.bool_):
        return f"complete {reading.complete!r}, expected True or False"
    return ""


def _plain(reading: Reading) -> Reading:
    """The reading with Python's numbers, which become JSON, instead of NumPy's."""
    (x, y), (width, height) = reading.centre_xy, reading.size_wh
    return replace(
        reading,
        centre_xy=(float(x), float(y)),
        size_wh=(float(width), float(height)),
        score=float(reading.score),
        complete=bool(reading.complete),
    )


def _is_finite(number: object) -> bool:
    try:
        return isinstance(number, int | float | np.integer | np.floating) and math.isfinite(number)
    except OverflowError:  # an integer beyond all floats
        return False
