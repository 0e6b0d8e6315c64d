"""Suggestions in a labelme file: how they look to a person, and what the file keeps about them.

A suggested object is a shape of its own whose label is the suggested class with a question mark, such as ``dog?``; the
shapes that people drew stay as they are.  So a file that is opened and saved without a decision accepts nothing.

labelme keeps keys that it does not know.  One of them, ``sightline``, is in the file (:class:`SuggestionRecord`), in
each suggested shape (``suggestion``: its number, and kind, score and model for other programs), and in each shape in
doubt (``original``: its index in the original file).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sightline.documents import DocumentError, DocumentKind
from sightline.errors import DataError

Document = dict[str, Any]

KEY = "sightline"
ACCEPT, REJECT = "accept suggestions", "reject suggestions"
"""Flags of the file that decide on all suggestions of the file that are still open."""

DELETE = "delete"
"""The label of a suggested shape that marks an object to delete is ``delete?``."""

_NEAR_PIXELS = 0.01


def marked(label: str) -> str:
    """The label of a suggestion that nobody has decided on: ``dog?``."""
    return f"{label}?"


@dataclass(frozen=True, slots=True)
class SuggestedShape:
    """A shape of a suggestion, as it was written; also a shape that people drew and that is in doubt.

    Attributes:
        label: The label after it is accepted, or that of the original shape.
        points: Pixels.
        index: Index of an original shape in the original file; -1 for a suggested shape.
    """

    label: str
    points: list[tuple[float, float]]
    index: int = -1

    def has_points(self, shape: Mapping[str, Any]) -> bool:
        """Whether a shape of a file is at the same place."""
        try:
            points = np.array(shape.get("points"), np.float64)
        except (TypeError, ValueError, OverflowError):
            return False
        mine = np.array(self.points, np.float64)
        return points.shape == mine.shape and bool(np.allclose(points, mine, rtol=0, atol=_NEAR_PIXELS))


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One suggestion.

    Attributes:
        number: From 1, unique in the file.
        kind: What is wrong with the label, such as ``wrong class``.
        score: 0 to 1.
        label: The suggested class; empty: the label in doubt should be removed.
        was: The class in doubt; empty: there is none, something is missing.
        of_image: Whether it concerns a label of the whole image, which is a flag of the file.
        originals: The shapes in doubt, which an accepted suggestion replaces.
        shapes: The suggested shapes.
    """

    number: int
    kind: str
    score: float
    label: str = ""
    was: str = ""
    of_image: bool = False
    originals: list[SuggestedShape] = field(default_factory=list)
    shapes: list[SuggestedShape] = field(default_factory=list)

    @property
    def flag(self) -> str:
        """The flag that accepts a suggested label of the image."""
        return marked(self.label or f"not {self.was}")

    @property
    def text(self) -> str:
        """The suggestion in a few words, such as ``wrong class, was cat, 0.93``."""
        was = f", was {self.was}" if self.was and self.was != self.label else ""
        return f"{self.kind}{was}, {self.score:.2f}"


@dataclass(frozen=True, slots=True)
class SuggestionRecord:
    """What a labelme file keeps about its suggestions.

    Attributes:
        base: The annotation tag whose labels were checked, or that the images are to be added to.
        model: SHA-256 of the model file.
        whole: Whether the folder holds all images of the base, because it was converted from another format.
        new: Whether the image is not part of the base.
        flags: The flags of the original file.
        suggestions: The suggestions.
    """

    base: str
    model: str
    whole: bool = False
    new: bool = False
    flags: dict[str, bool] = field(default_factory=dict)
    suggestions: list[Suggestion] = field(default_factory=list)


RECORD = DocumentKind("record of suggestions", SuggestionRecord)


def record_of(document: Mapping[str, Any], file: str) -> SuggestionRecord | None:
    """The record of a labelme file; None if it has no suggestions.

    Args:
        document: The file as JSON values.
        file: Its name in messages.

    Raises:
        DataError: The record was changed by hand, or written by a later version of Sightline; or there are suggestions
            without a record.
    """
    own = document.get(KEY)
    if not isinstance(own, dict) or "suggestions" not in own:
        if _has_traces(document):
            raise DataError(
                f"{file}: it has suggestions, but the key {KEY!r} of the file, which says what they were, is gone; "
                "restore the file, or write the suggestions to a new folder"
            )
        return None
    try:
        return RECORD.decode(json.dumps(own))
    except DocumentError as error:
        remedy = error.remedy(f"restore the key {KEY!r} of the file, or write the suggestions to a new folder")
        raise DataError(f"{file}: the suggestions cannot be read: {error}; {remedy}") from error


def _has_traces(document: Mapping[str, Any]) -> bool:
    """Whether a file without a record has shapes or flags of suggestions."""
    owned = [shape[KEY] for shape in document["shapes"] if isinstance(shape.get(KEY), dict)]
    flags = document.get("flags")
    return any("suggestion" in own for own in owned) or (isinstance(flags, dict) and {ACCEPT, REJECT} <= set(flags))


def with_suggestions(document: Document, record: SuggestionRecord, shapes: Mapping[int, Sequence[Document]]) -> None:
    """Add suggestions to a labelme file.

    Args:
        document: The file as JSON values; it is changed.
        record: The suggestions.
        shapes: Number of a suggestion -> its shapes as labelme has them, with the labels they get when accepted.
    """
    document[KEY] = RECORD.encode(record)
    flags: dict[str, bool] = {**record.flags}
    for suggestion in record.suggestions:
        if suggestion.of_image:
            flags[suggestion.flag] = False
        for original in suggestion.originals:
            document["shapes"][original.index][KEY] = {"original": original.index}
        for shape in shapes.get(suggestion.number, ()):
            document["shapes"].append(
                {
                    **shape,
                    "label": marked(shape["label"]),
                    "description": f"suggestion: {suggestion.text}",
                    KEY: {
                        "suggestion": suggestion.number,
                        "kind": suggestion.kind,
                        "score": suggestion.score,
                        "model": record.model,
                        "replaces": [original.index for original in suggestion.originals],
                    },
                }
            )
    document["flags"] = {**flags, ACCEPT: False, REJECT: False}
