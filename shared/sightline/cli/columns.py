"""Columns of text on a terminal, where a character such as a Korean syllable is two columns wide."""

from __future__ import annotations

from collections.abc import Iterable


def widest(texts: Iterable[str]) -> int:
    """The width of the widest text, in columns of a terminal; 0 if there is none.

    Example:
        >>> widest(["good", "균열 크다"])
        9
    """
    from rich.cells import cell_len

    return max(map(cell_len, texts), default=0)


def padded(text: str, width: int) -> str:
    """The text with spaces after it, ``width`` columns of a terminal wide; a wider one is unchanged.

    Example:
        >>> padded("균열", 6) + "|"
        '균열  |'
    """
    from rich.cells import cell_len

    return text + " " * (width - cell_len(text))
