"""Draws class names in any script: selects fonts with their glyphs, measures widths, and shapes the text.

Pillow's default font has only Latin letters.  Other letters come from Noto (the packages ``manimgx-fonts`` and
``manimgx-fonts-cjk``, SIL Open Font License), glyph by glyph where a name mixes scripts.
"""

from __future__ import annotations

import importlib.util
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from PIL import ImageDraw, ImageFont, features

_PACKAGES = ("manimgx_fonts", "manimgx_fonts_cjk")
_FIRST = "NotoSans[wght].ttf"
_WEIGHT = 400
"""Regular, on the weight axis of the variable fonts."""

_BASELINE = 0.36
"""Distance of the baseline below the middle of a line, in font sizes."""

_RIGHT_TO_LEFT = {"R", "AL"}
"""Bidirectional classes of Hebrew, Arabic and related scripts (UAX 9, table 4)."""

_ELLIPSIS = "..."

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True, slots=True)
class _Run:
    """Characters that one font draws in one direction."""

    text: str
    font: int
    right_to_left: bool


class Lettering:
    """Text in one size.

    Args:
        size: Font size in pixels.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._plain = ImageFont.load_default(size)

    def width(self, text: str) -> float:
        """The width of a text in pixels."""
        if text.isascii():
            return self._plain.getlength(text)
        return sum(self._run_width(run) for run in _runs(text))

    def fitted(self, text: str, width: float) -> str:
        """The text, shortened with an ellipsis if it is wider than ``width`` pixels."""
        if self.width(text) <= width:
            return text
        kept = len(text)
        while kept > 1 and self.width(text[:kept].rstrip() + _ELLIPSIS) > width:
            kept -= 1
        return text[:kept].rstrip() + _ELLIPSIS

    def write(self, pen: ImageDraw.ImageDraw, left: float, middle: float, text: str, ink: tuple[int, int, int]) -> None:
        """Draw a text that starts at x = ``left``, with the middle of its line at y = ``middle``, both in pixels."""
        if text.isascii():
            pen.text((left, middle), text, ink, self._plain, "lm")
            return
        for run in _runs(text):
            shown, direction = _directed(run)
            pen.text(
                (left, middle + _BASELINE * self.size), shown, ink, _font(run.font, self.size), "ls",
                direction=direction,
            )  # fmt: skip
            left += self._run_width(run)

    def _run_width(self, run: _Run) -> float:
        shown, direction = _directed(run)
        return _font(run.font, self.size).getlength(shown, direction=direction)


def printable(name: str, instead: str) -> str:
    """A name on one line, or ``instead`` if no font has one of its characters.

    Args:
        name: Any text.
        instead: The replacement, in ASCII.
    """
    line = " ".join("".join(" " if unicodedata.category(letter) == "Cc" else letter for letter in name).split())
    if line.isascii():
        return line or instead
    return line if all(_has_font(letter) for letter in line if not _invisible(letter)) else instead


def _has_font(letter: str) -> bool:
    return any(ord(letter) in coverage for coverage in _coverages())


def _invisible(letter: str) -> bool:
    """Joiners, direction marks and variation selectors, which need no glyph."""
    return unicodedata.category(letter) == "Cf" or "\ufe00" <= letter <= "\ufe0f"


def _runs(text: str) -> list[_Run]:
    """The runs of a text in visual order, from left to right."""
    coverages = _coverages()
    runs: list[_Run] = []
    for letter in text:
        direction = unicodedata.bidirectional(letter)
        strong = direction in _RIGHT_TO_LEFT or direction == "L"
        last = runs[-1] if runs else None
        if _invisible(letter) and (last is None or ord(letter) not in coverages[last.font]):
            continue
        font = next((index for index, coverage in enumerate(coverages) if ord(letter) in coverage), 0)
        if last is not None and ord(letter) in coverages[last.font]:
            font = last.font
        right_to_left = direction in _RIGHT_TO_LEFT if strong or last is None else last.right_to_left
        if direction in ("EN", "AN"):
            right_to_left = False
        if last is not None and (last.font, last.right_to_left) == (font, right_to_left):
            runs[-1] = _Run(last.text + letter, font, right_to_left)
        else:
            runs.append(_Run(letter, font, right_to_left))
    return _in_visual_order(runs)


def _in_visual_order(runs: list[_Run]) -> list[_Run]:
    """Runs in visual order: all are reversed if the first is right to left, else each right-to-left sequence is."""
    if runs and runs[0].right_to_left:
        return runs[::-1]
    seen: list[_Run] = []
    stretch: list[_Run] = []
    for run in runs:
        if run.right_to_left:
            stretch.insert(0, run)
        else:
            seen += [*stretch, run]
            stretch = []
    return seen + stretch


def _directed(run: _Run) -> tuple[str, str | None]:
    """The text and direction to pass to Pillow; if Pillow cannot shape text, the letters are reversed here."""
    if _shapes():
        return run.text, "rtl" if run.right_to_left else "ltr"
    return run.text[::-1] if run.right_to_left else run.text, None


@lru_cache(maxsize=1)
def _shapes() -> bool:
    return bool(features.check("raqm") and features.check("fribidi"))


@lru_cache(maxsize=1)
def _paths() -> tuple[Path, ...]:
    """The font files: Latin, Greek and Cyrillic first, then other scripts, then symbols and emoji."""
    found: list[Path] = []
    for package in _PACKAGES:
        spec = importlib.util.find_spec(package)
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            found += [path for path in Path(folder).iterdir() if path.suffix in {".ttf", ".ttc", ".otf"}]
    upright = [path for path in found if "Italic" not in path.name]
    rank = {_FIRST: 0}
    late = ("Symbols", "Emoji")
    return tuple(
        sorted(upright, key=lambda path: (rank.get(path.name, 1 + any(part in path.name for part in late)), path.name))
    )


@lru_cache(maxsize=1)
def _coverages() -> tuple[frozenset[int], ...]:
    """The code points of each font."""
    from matplotlib.ft2font import FT2Font

    return tuple(frozenset(FT2Font(str(path)).get_charmap()) for path in _paths()) or (frozenset(),)


@lru_cache(maxsize=64)
def _font(index: int, size: int) -> ImageFont.FreeTypeFont:
    engine = ImageFont.Layout.RAQM if _shapes() else ImageFont.Layout.BASIC
    font = ImageFont.truetype(_paths()[index], size, layout_engine=engine)
    font.set_variation_by_axes([_WEIGHT, *(float(axis["default"] or 0) for axis in font.get_variation_axes()[1:])])
    return font
