"""The page of two models, or of the models of two runs, side by side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from sightline.report.page import write_page
from sightline.report.pages.interval_view import IntervalsView, intervals_view
from sightline.report.sections import IntervalsSection

LONGEST_SIDE = 520
"""Pixels of a drawn image in the page."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two models.

    Attributes:
        letter: ``A`` or ``B``.
        name: Name of the model.
        facts: Name of a fact -> its text.
    """

    letter: str
    name: str
    facts: dict[str, str]


@dataclass(frozen=True, slots=True)
class ValueRow:
    """A metric of both, as text, and which one is better for sure (``A``, ``B`` or empty)."""

    name: str
    a: str
    b: str
    title: str = ""
    better: str = ""


@dataclass(frozen=True, slots=True)
class TellingImage:
    """An image that the models treat differently; the drawings are None if the image cannot be read."""

    image: str
    remark_a: str
    remark_b: str
    truth: Image.Image | None
    a: Image.Image | None
    b: Image.Image | None


@dataclass(frozen=True, slots=True)
class TellingImages:
    """The images in which one model is better.

    Attributes:
        key: HTML id.
        title: Heading.
        count: Number of all such images.
        shown: Number of images in ``rows``.
        rows: The first of them, drawn while the page is written.
    """

    key: str
    title: str
    count: int
    shown: int
    rows: Iterable[TellingImage]


@dataclass(frozen=True, slots=True)
class ComparisonPage:
    """The contents of the page.

    Attributes:
        title: Heading.
        facts: What was compared on: name -> text.
        verdict: The result in one or two sentences.
        sides: The two models.
        notes: What was left out, in full sentences.
        values: The metrics of both.
        differences: Their differences with intervals.
        classes: The differences of one metric by class.
        class_values: The values of this metric.
        counts: Text -> number of images.
        images: The images that the models treat differently.
        changes: Differences of the configuration, for runs: setting, A, B; None for models alone.
    """

    title: str
    facts: dict[str, str]
    verdict: str
    sides: Sequence[Side]
    notes: Sequence[str] = ()
    values: Sequence[ValueRow] = ()
    differences: IntervalsSection | None = None
    classes: IntervalsSection | None = None
    class_values: Sequence[ValueRow] = ()
    counts: dict[str, int] = field(default_factory=dict)
    images: Sequence[TellingImages] = ()
    changes: Sequence[tuple[str, str, str]] | None = None


def write_comparison_page(path: Path, page: ComparisonPage) -> None:
    """Write the comparison as one HTML file that opens offline; parent folders are created.

    Images are drawn one after another while the page is written.

    Args:
        path: The HTML file; replaced as a whole.
        page: The contents.
    """
    write_page(
        path,
        "comparison_page.html",
        page=page,
        differences=_view(page.differences),
        classes=_view(page.classes),
        longest=LONGEST_SIDE,
    )


def _view(section: IntervalsSection | None) -> IntervalsView | None:
    return None if section is None else intervals_view(section)
