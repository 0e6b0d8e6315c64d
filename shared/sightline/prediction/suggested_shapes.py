"""Suspects as suggestions in labelme files: their shapes, and the shapes that they replace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sightline.data.suggestions.record import DELETE, Document, SuggestedShape, Suggestion
from sightline.data.tools.writers.outlines import polygons_of
from sightline.metrics.label_errors import SuggestedObject, Suspect


def suggestion_of(
    number: int, suspect: Suspect, names: Mapping[int, str], document: Document, places: Sequence[int]
) -> tuple[Suggestion, list[Document]]:
    """A suspect as a suggestion.

    Args:
        number: Number of the suggestion in the file.
        suspect: The suspect.
        names: Category id -> class name.
        document: The labelme file of its image, as JSON values.
        places: Indices of the shapes of the object in doubt.

    Returns:
        The suggestion, and its shapes as labelme has them, with the labels that they get when accepted.
    """
    label = "" if suspect.suggested_id is None else names[suspect.suggested_id]
    was = "" if suspect.category_id is None else names[suspect.category_id]
    of_image = suspect.object is None and suspect.annotation_id is None
    group = _largest_group(document) + number  # of its own, also among the suggestions for the image
    doubted, drawn = ([], []) if of_image else _shapes(suspect, label, document, places, group)
    originals = [_stored(document["shapes"][index], index) for index in doubted]
    shapes = [_stored(shape) for shape in drawn]
    return Suggestion(number, suspect.kind, round(suspect.score, 4), label, was, of_image, originals, shapes), drawn


def _shapes(
    suspect: Suspect, label: str, document: Document, places: Sequence[int], free_group: int
) -> tuple[list[int], list[Document]]:
    """The indices of the shapes in doubt, and the suggested shapes."""
    own = [document["shapes"][index] for index in places]
    group = own[0].get("group_id") if own else None
    if suspect.kind in ("duplicate", "spurious"):
        return list(places), [_copied(shape, DELETE) for shape in own]
    if suspect.kind == "wrong class":  # the outline that people drew is better than that of a prediction
        return list(places), [_copied(shape, label) for shape in own]
    assert suspect.object is not None  # noqa: S101
    if suspect.kind in ("swapped keypoints", "misplaced keypoint"):
        points = _points(document, group, own)
        named = [name for name, _, _ in suspect.object.keypoints]
        replaced = [points[name] for name in named if name in points]
        return replaced, _keypoints(suspect.object, group)
    if suspect.object.keypoints:
        group = free_group
    kind = str(own[0].get("shape_type")) if own else ""
    return list(places), [*_outline(suspect.object, label, group, kind), *_keypoints(suspect.object, group)]


def _outline(found: SuggestedObject, label: str, group: int | None, kind: str) -> list[Document]:
    """The outline of a prediction: polygons of its mask, or a rectangle."""
    left, top, right, bottom = (round(value, 2) for value in found.box_xyxy)
    if found.mask is None or kind == "rectangle":
        return [_shape(label, "rectangle", [[left, top], [right, bottom]], group)]
    parts = [part for part in polygons_of(found.mask).parts if len(part) >= 3]
    if not parts:
        return [_shape(label, "rectangle", [[left, top], [right, bottom]], group)]
    largest = max(parts, key=lambda part: float((part.max(axis=0) - part.min(axis=0)).prod()))
    return [_shape(label, "polygon", largest.round(2).tolist(), group)]


def _keypoints(found: SuggestedObject, group: int | None) -> list[Document]:
    return [_shape(name, "point", [[round(x, 2), round(y, 2)]], group) for name, x, y in found.keypoints]


def _points(document: Document, group: int | None, own: Sequence[Document]) -> dict[str, int]:
    """Keypoint -> index of its shape, of the object with this group."""
    labels = {str(shape.get("label")) for shape in own}
    return {
        str(shape.get("label")): index
        for index, shape in enumerate(document["shapes"])
        if shape.get("shape_type") == "point" and shape.get("group_id") == group and shape.get("label") not in labels
    }


def _largest_group(document: Document) -> int:
    """The largest group of the file."""
    used = [shape.get("group_id") for shape in document["shapes"]]
    return max((number for number in used if isinstance(number, int)), default=0)


def _copied(shape: Document, label: str) -> Document:
    return {key: value for key, value in shape.items() if key != "description"} | {"label": label}


def _shape(label: str, kind: str, points: list[list[float]], group: int | None) -> Document:
    return {"label": label, "points": points, "group_id": group, "shape_type": kind, "flags": {}}


def _stored(shape: Mapping[str, Any], index: int = -1) -> SuggestedShape:
    return SuggestedShape(str(shape["label"]), [(float(x), float(y)) for x, y in shape["points"]], index)
