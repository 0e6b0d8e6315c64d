"""Stored documents: each contains its format number, and all earlier formats stay readable.

A reader ignores unknown fields, uses the default of a missing field, upgrades an older format step by step, and rejects
a newer one.  So a new field with a default needs no new format.  A new format is only needed if a default is not
enough; it takes one more function in the ``DocumentKind``::

    CHAMPION = DocumentKind("champion pointer", ChampionPointer)
    HISTORY = DocumentKind("training history", History, upgrades=(_from_list,))

Documents of the first format may lack ``format``.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sightline import strict_json
from sightline.version import __version__

FIRST_FORMAT = 1

Stored = TypeVar("Stored")
Upgrade = Callable[[Any], Any]
"""Converts the JSON values of one format to those of the next; may modify its argument."""


class DocumentError(ValueError):
    """A stored document that cannot be read; the message says why.

    Attributes:
        is_newer: Whether it was written by a later version of Sightline.
    """

    def __init__(self, reason: str, *, is_newer: bool = False) -> None:
        super().__init__(reason)
        self.is_newer = is_newer

    def remedy(self, otherwise: str) -> str:
        """The remedy: install a later Sightline if that wrote the document, else ``otherwise``."""
        return f"install a version of Sightline later than {__version__}" if self.is_newer else otherwise


@dataclass(frozen=True)
class DocumentKind(Generic[Stored]):
    """One kind of stored document.

    Attributes:
        title: Name in messages, such as ``champion pointer``.
        type: The dataclass with its fields; fields with a default may be missing.
        upgrades: Functions from format 1 to 2, from 2 to 3, and so on.
    """

    title: str
    type: type[Stored]
    upgrades: tuple[Upgrade, ...] = ()

    @property
    def format(self) -> int:
        """The current format, which is written."""
        return FIRST_FORMAT + len(self.upgrades)

    def encode(self, value: Stored) -> dict[str, Any]:
        """A document as JSON values, ``format`` first."""
        return {"format": self.format, **dataclasses.asdict(value)}  # type: ignore[call-overload]

    def decode(self, content: bytes | str, *, max_bytes: int = strict_json.MAX_BYTES) -> Stored:
        """Parse a document of any format up to the current one.

        Args:
            content: JSON, UTF-8.
            max_bytes: A longer text is rejected unread.

        Raises:
            DocumentError: It is not strict JSON, newer, or a field is missing or of another type.
        """
        try:
            document = strict_json.decode(content, max_bytes=max_bytes)
        except strict_json.JsonError as error:
            raise DocumentError(str(error)) from error
        if isinstance(document, dict) and self._format_of(document) == self.format:
            return self._validate(content)
        return self.decode_value(document)

    def decode_value(self, document: object) -> Stored:
        """Like :meth:`decode`, for JSON values that were already decoded."""
        return self._validate(json.dumps(self.upgrade(document)))

    def upgrade(self, document: Any) -> dict[str, Any]:  # noqa: ANN401  (whatever JSON holds)
        """A document as JSON values of the current format.

        Raises:
            DocumentError: It is newer, or not a JSON object of its declared format.
        """
        written = self._format_of(document)
        for number in range(written, self.format):
            try:
                document = self.upgrades[number - FIRST_FORMAT](document)
            except (LookupError, TypeError, ValueError, AttributeError) as error:
                if isinstance(error, DocumentError):
                    raise
                if not isinstance(document, dict):
                    raise DocumentError("it is not a JSON object") from error
                raise DocumentError(f"it is not a {self.title} of format {number} ({error})") from error
        if not isinstance(document, dict):
            raise DocumentError("it is not a JSON object")
        return {**document, "format": self.format}

    def refuse_newer(self, document: object) -> None:
        """Raise an error if a document, as JSON values, has a newer format.

        Raises:
            DocumentError: It is newer, or its format is not a number.
        """
        self._format_of(document)

    def _format_of(self, document: object) -> int:
        written = document.get("format", FIRST_FORMAT) if isinstance(document, dict) else FIRST_FORMAT
        if type(written) is not int or written < FIRST_FORMAT:
            raise DocumentError(f"format: {strict_json.shown(str(written))}; expected a positive whole number")
        if written > self.format:
            raise DocumentError(
                f"it has format {written}, but Sightline {__version__} reads formats up to {self.format}", is_newer=True
            )
        return written

    def _validate(self, content: bytes | str) -> Stored:
        try:
            return strict_json.validate(self.type, content)
        except strict_json.JsonError as error:
            raise DocumentError(str(error)) from error
