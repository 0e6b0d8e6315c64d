"""The page of ``sightline data diff --html``: changed images side by side, with the outlines that changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from sightline.data.formats.coco import CocoAnnotation
from sightline.data.images import UnreadableImageError, read_image
from sightline.data.tools.compare import ChangedImage, ComparedImage, ComparedObject, Comparison
from sightline.plural import counted
from sightline.report.drawing.draw import draw_truth
from sightline.report.page import MAX_DRAWN_PIXELS, write_page

SHOWN_IMAGES = 60
"""Images of each kind of change that are drawn; of the others, the page gives the number."""

LONGEST_SIDE = 560
"""Pixels of a drawn image in the page."""


@dataclass(frozen=True, slots=True)
class _Row:
    """A changed image: its name, what changed as text, and its drawings, None where the version lacks it."""

    name: str
    changes: list[str]
    before: Image.Image | None
    after: Image.Image | None


@dataclass(frozen=True, slots=True)
class _Section:
    """The images with one kind of change."""

    key: str
    title: str
    lead: str
    count: int
    rows: Iterator[_Row]
    alone: bool


def write_difference_page(path: Path, before: str, after: str, comparison: Comparison) -> None:
    """Write the differences of two versions as one HTML file that opens offline; parent folders are created.

    Images are drawn one after another while the page is written.

    Args:
        path: The HTML file; replaced as a whole.
        before: Name of the first version.
        after: Name of the second version.
        comparison: The differences; the image files must exist.
    """
    ids = {name: number for number, name in enumerate(_classes(comparison), start=1)}
    write_page(
        path,
        "difference_page.html",
        before=before,
        after=after,
        comparison=comparison,
        sections=[one for one in _sections(comparison, ids) if one.count],
        class_changes=_class_changes(comparison),
        longest=LONGEST_SIDE,
        shown=SHOWN_IMAGES,
    )


def _sections(comparison: Comparison, ids: dict[str, int]) -> list[_Section]:
    kinds = (
        ("relabelled", "Relabeled", "Of the objects, only those that changed are drawn.", False),
        ("added", "Added", "Images that only the second version has, with all objects.", True),
        ("removed", "Removed", "Images that only the first version has, with all objects.", True),
        ("replaced", "Replaced", "The image file differs, the annotations are the same.", False),
        ("moved", "Moved", "The same image with another path or split.", True),
    )
    return [
        _Section(key, title, lead, len(getattr(comparison, key)), _rows(getattr(comparison, key), ids, key), alone)
        for key, title, lead, alone in kinds
    ]


def _rows(changed: Sequence[ChangedImage], ids: dict[str, int], kind: str) -> Iterator[_Row]:
    return (_row(one, ids, kind) for one in changed[:SHOWN_IMAGES])


def _row(changed: ChangedImage, ids: dict[str, int], kind: str) -> _Row:
    image = changed.after or changed.before
    assert image is not None  # noqa: S101  (one of the two versions has it)
    if kind == "moved":
        return _Row(image.name, _move(changed), None, _drawn(changed.after, (), ids))
    return _Row(
        image.name,
        _changes(changed),
        _drawn(changed.before, changed.gone, ids),
        _drawn(changed.after, changed.new, ids),
    )


def _move(changed: ChangedImage) -> list[str]:
    one, other = changed.before, changed.after
    if one is None or other is None:
        return []
    moves = [f"{one.name} → {other.name}"] if one.name != other.name else []
    return moves + ([f"{one.split or 'no split'} → {other.split or 'no split'}"] if one.split != other.split else [])


def _changes(changed: ChangedImage) -> list[str]:
    """The changes of objects and labels, as text."""
    one, other = changed.before, changed.after
    if one is None or other is None:
        image = one or other
        objects = changed.gone or changed.new
        return [*_counts(objects), *(image.labels if image else ())] or ["no objects"]
    renamed = _renamed(changed)
    gone = Counter(item.label for item in changed.gone) - Counter(name for name, _ in renamed.elements())
    new = Counter(item.label for item in changed.new) - Counter(name for _, name in renamed.elements())
    texts = [_times(f"{name} → {other}", n) for (name, other), n in sorted(renamed.items())]
    texts += [f"redrawn: {_times(name, n)}" for name, n in sorted((gone & new).items())]
    texts += [f"removed: {_times(name, n)}" for name, n in sorted((gone - new).items())]
    texts += [f"added: {_times(name, n)}" for name, n in sorted((new - gone).items())]
    if set(one.labels) != set(other.labels):
        texts.append(f"label: {_own_labels(one, other)} → {_own_labels(other, one)}")
    return texts + ([f"{counted(changed.kept, 'object')} unchanged"] if changed.kept else [])


def _own_labels(one: ComparedImage, other: ComparedImage) -> str:
    """The labels that only the first of two versions of an image has."""
    return ", ".join(name for name in one.labels if name not in other.labels) or "none"


def _renamed(changed: ChangedImage) -> Counter[tuple[str, str]]:
    """Old and new class of objects whose outline is the same."""
    labels: dict[str, list[str]] = {}
    for one in changed.gone:
        labels.setdefault(str(one.segmentation), []).append(one.label)
    pairs = Counter[tuple[str, str]]()
    for one in changed.new:
        if (before := labels.get(str(one.segmentation))) and before[0] != one.label:
            pairs[before.pop(0), one.label] += 1
    return pairs


def _counts(objects: Sequence[ComparedObject]) -> list[str]:
    return [_times(name, number) for name, number in sorted(Counter(one.label for one in objects).items())]


def _times(name: str, number: int) -> str:
    return name if number == 1 else f"{number} x {name}"


def _drawn(image: ComparedImage | None, objects: Sequence[ComparedObject], ids: dict[str, int]) -> Image.Image | None:
    if image is None:
        return None
    try:
        pixels = read_image(image.source, MAX_DRAWN_PIXELS)
    except UnreadableImageError:
        return None
    annotations: list[CocoAnnotation] = [
        {
            "id": number,
            "image_id": 1,
            "category_id": ids[one.label],
            "bbox": list(one.bbox),
            "area": 1.0,
            "segmentation": one.segmentation,
            "iscrowd": 0,
        }
        for number, one in enumerate(objects, start=1)
    ]
    return draw_truth(pixels, annotations, {number: name for name, number in ids.items()})


def _classes(comparison: Comparison) -> list[str]:
    changed = [*comparison.added, *comparison.removed, *comparison.relabelled]
    return sorted({item.label for one in changed for item in (*one.gone, *one.new)})


def _class_changes(comparison: Comparison) -> list[tuple[str, int, int]]:
    """Class, number of objects that are gone, and number of new ones; redrawn objects count as both."""
    changed = [*comparison.added, *comparison.removed, *comparison.relabelled]
    gone = Counter(item.label for one in changed for item in one.gone)
    new = Counter(item.label for one in changed for item in one.new)
    return [(name, gone[name], new[name]) for name in sorted(gone.keys() | new.keys())]
