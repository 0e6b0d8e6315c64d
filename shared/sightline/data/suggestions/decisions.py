"""What a person decided about the suggestions of a labelme file, and the file as it is after these decisions."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sightline.data.suggestions.record import (
    ACCEPT,
    DELETE,
    KEY,
    REJECT,
    Document,
    SuggestedShape,
    Suggestion,
    SuggestionRecord,
    marked,
)
from sightline.errors import DataError

Status = Literal["accepted", "changed", "rejected", "open"]


@dataclass(frozen=True, slots=True)
class Decision:
    """What happened to a suggestion.

    Attributes:
        suggestion: The suggestion.
        status: ``accepted``: taken as it was; ``changed``: taken with another class or outline, or the label in doubt
            was corrected in another way; ``rejected``; ``open``: not decided.
    """

    suggestion: Suggestion
    status: Status


@dataclass(frozen=True, slots=True)
class DecidedFile:
    """A file after the decisions.

    Attributes:
        document: The labelme file as JSON values, without anything of the suggestions.
        decisions: One for each suggestion.
    """

    document: Document
    decisions: list[Decision]

    @property
    def is_decided(self) -> bool:
        """Whether a person has decided anything: about a suggestion, or by labels of their own."""
        return bool(self.document["shapes"]) or any(one.status != "open" for one in self.decisions)


def decide_file(document: Document, record: SuggestionRecord, file: str) -> DecidedFile:
    """Read the decisions from a file, and carry them out.

    Args:
        document: The file as JSON values, as labelme saved it.
        record: Its record.
        file: Its name in messages.

    Raises:
        DataError: Both flags for all suggestions are set, or flags or labels are not those of a labelme file.
    """
    _check(document, file)
    flags = dict(document.get("flags") or {})
    accept, reject = bool(flags.pop(ACCEPT, False)), bool(flags.pop(REJECT, False))
    if accept and reject:
        raise DataError(f"{file}: both flags {ACCEPT!r} and {REJECT!r} are set; clear one of them in labelme")
    every: Status = "accepted" if accept else "rejected" if reject else "open"
    left = _Shapes(copy.deepcopy(document["shapes"]))
    objects = [one for one in record.suggestions if not one.of_image]
    decisions = [Decision(one, _decide_object(left, one, every)) for one in objects]
    decisions += _decide_labels(flags, record, every)
    if every != "open" and not record.suggestions:  # the image was looked at, and shows nothing
        decisions.append(Decision(Suggestion(0, "no objects", 1.0), every))
    decided = {key: value for key, value in document.items() if key != KEY}
    return DecidedFile(decided | {"flags": flags, "shapes": left.cleaned()}, decisions)


def _check(document: Document, file: str) -> None:
    """Reject what cannot be read as decisions."""
    if not isinstance(document.get("flags") or {}, dict):
        raise DataError(f"{file}: the flags are {document['flags']!r}; expected names with true or false")
    for index, shape in enumerate(document["shapes"]):
        if not isinstance(shape.get("label"), str):
            raise DataError(f"{file}: shapes[{index}]: the label is {shape.get('label')!r}; expected a text")


class _Shapes:
    """The shapes of a file, which suggestions find, rename and remove."""

    def __init__(self, shapes: list[Document]) -> None:
        self._shapes = shapes
        self._removed: set[int] = set()

    def suggested(self, suggestion: Suggestion) -> list[Document]:
        """The shapes of a suggestion that are still there, also if a program lost their keys."""
        return [
            shape
            for shape in self._kept()
            if self._own(shape).get("suggestion") == suggestion.number
            or (KEY not in shape and any(_is(shape, one, marked(one.label)) for one in suggestion.shapes))
        ]

    def original(self, original: SuggestedShape) -> Document | None:
        """A shape in doubt that is still there."""
        for shape in self._kept():
            if self._own(shape).get("original") == original.index:
                return shape
        return next((one for one in self._kept() if KEY not in one and _is(one, original, original.label)), None)

    def remove(self, shapes: Sequence[Document]) -> None:
        """Leave these shapes out."""
        self._removed |= {id(shape) for shape in shapes}

    def cleaned(self) -> list[Document]:
        """The shapes without anything of the suggestions."""
        self._separate_single_object()
        kept = []
        for shape in self._kept():
            if "suggestion" in self._own(shape) and str(shape.get("description") or "").startswith("suggestion: "):
                shape["description"] = ""
            kept.append({key: value for key, value in shape.items() if key != KEY})
        return kept

    def _separate_single_object(self) -> None:
        """Give the only object of a file and its keypoints a group, if it has none and a second one was accepted."""
        own = [shape for shape in self._kept() if "suggestion" not in self._own(shape)]
        added = [shape for shape in self._kept() if "suggestion" in self._own(shape)]
        objects = [shape for shape in own if shape.get("shape_type") != "point"]
        loose = [shape for shape in own if shape.get("shape_type") == "point" and shape.get("group_id") is None]
        grouped = any(one.get("shape_type") == "point" and one.get("group_id") is not None for one in added)
        if grouped and loose and len(objects) == 1 and objects[0].get("group_id") is None:
            group = max(one["group_id"] for one in self._kept() if isinstance(one.get("group_id"), int)) + 1
            for shape in (*objects, *loose):
                shape["group_id"] = group

    def _kept(self) -> list[Document]:
        return [shape for shape in self._shapes if id(shape) not in self._removed]

    @staticmethod
    def _own(shape: Document) -> Document:
        own = shape.get(KEY)
        return own if isinstance(own, dict) else {}


def _is(shape: Document, written: SuggestedShape, label: str) -> bool:
    return bool(shape.get("label") == label and written.has_points(shape))


@dataclass(frozen=True, slots=True)
class _Object:
    """What is left of a suggestion and of the shapes in doubt.

    Attributes:
        originals: For each shape in doubt, the shape as it is now; None if it was deleted.
        edited: The shapes in doubt that a person changed.
        mine: The suggested shapes that are left.
        renamed: Those without the question mark of a suggestion; the name of a class may end in one.
        moved: Whether one of them has another outline.
    """

    originals: list[Document | None]
    edited: list[Document]
    mine: list[Document]
    renamed: list[Document]
    moved: bool

    @classmethod
    def of(cls, left: _Shapes, suggestion: Suggestion) -> _Object:
        originals = [left.original(one) for one in suggestion.originals]
        pairs = zip(originals, suggestion.originals, strict=True)
        mine = left.suggested(suggestion)
        return cls(
            originals,
            [shape for shape, one in pairs if shape is not None and not _is(shape, one, one.label)],
            mine,
            [shape for shape in mine if _unmarked(shape, suggestion) == shape["label"]],
            any(not any(one.has_points(shape) for one in suggestion.shapes) for shape in mine),
        )

    @property
    def unedited(self) -> list[Document]:
        """The shapes in doubt that are as they were."""
        changed = {id(shape) for shape in self.edited}
        return [shape for shape in self.originals if shape is not None and id(shape) not in changed]


def _unmarked(shape: Document, suggestion: Suggestion) -> str:
    """The label of a suggested shape without the question mark."""
    label = str(shape["label"])
    return label if any(label == one.label for one in suggestion.shapes) else label.removesuffix("?")


def _decide_object(left: _Shapes, suggestion: Suggestion, every: Status) -> Status:
    """The decision on a suggested object; the shapes are changed accordingly."""
    found = _Object.of(left, suggestion)
    if suggestion.label == "":
        return _decide_removal(left, found, every)
    gone = None in found.originals
    if found.edited and not found.renamed:  # the person corrected the shape in doubt instead
        left.remove(found.mine)
        pairs = zip(found.originals, suggestion.originals, strict=True)
        kept = [(shape, one) for shape, one in pairs if shape is not None]
        exact = not gone and all(_is(shape, one, suggestion.label) for shape, one in kept)
        return "accepted" if exact and suggestion.kind == "wrong class" else "changed"
    if not found.mine:
        return "changed" if gone else "rejected"
    if found.renamed or found.moved or gone or every == "accepted":
        labels = {one.label for one in suggestion.shapes}
        for shape in found.mine:
            shape["label"] = _unmarked(shape, suggestion)
        left.remove(found.unedited)
        exact = not found.moved and len(found.mine) == len(suggestion.shapes)
        return "accepted" if exact and {shape["label"] for shape in found.mine} <= labels else "changed"
    left.remove(found.mine)
    return every


def _decide_removal(left: _Shapes, found: _Object, every: Status) -> Status:
    """The decision on an object that should be removed; the suggested shapes are those labeled ``delete?``."""
    kept = [shape for shape in found.renamed if shape.get("label") != DELETE]
    others = {id(shape) for shape in kept}
    left.remove([shape for shape in found.mine if id(shape) not in others])
    if kept:
        left.remove(found.unedited)
    if kept or found.edited:
        return "changed"
    if found.renamed or (found.mine and every == "accepted"):
        left.remove(found.unedited)
        return "accepted"
    if not found.unedited:
        return "accepted"
    return every if found.mine else "rejected"


def _decide_labels(flags: dict[str, Any], record: SuggestionRecord, every: Status) -> list[Decision]:
    """The decisions on labels of the image; the flags are changed accordingly."""
    suggestions = [one for one in record.suggestions if one.of_image]
    ticked = {one.number for one in suggestions if flags.pop(one.flag, False)}
    before = {name for name, value in record.flags.items() if value}
    now = {name for name, value in flags.items() if value}
    decisions: list[Decision] = []
    for one in suggestions:
        direct = (one.label in now - before) if one.label else (one.was in before - now)
        status: Status = every
        if one.number in ticked or direct or every == "accepted":
            status = "accepted"
            if one.was:
                flags.pop(one.was, None)
            if one.label:
                flags[one.label] = True
        elif now != before and every == "open":
            status = "changed"
        decisions.append(Decision(one, status))
    return decisions
