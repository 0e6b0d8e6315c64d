"""Labels as typed by users: their faults, their classes, and their intended spelling."""

from __future__ import annotations

import difflib
import functools
import re
import unicodedata
from collections.abc import Iterable, Mapping

from sightline.config.data import Data

IGNORED_LABEL = "__ignore__"
"""labelme's mark for regions that are not objects of the dataset."""

_JOINERS = "\u200c\u200d"
"""Zero width, but part of the spelling of Persian, Hindi and joined emoji: kept next to non-ASCII characters."""


@functools.lru_cache(maxsize=4096)
def cleaned(label: str) -> str:
    """A label without leading and trailing spaces and invisible characters, in Unicode's composed form (NFC).

    Example:
        >>> cleaned(" tram" + chr(0x200B)), cleaned("cafe" + chr(0x301))
        ('tram', 'café')
    """
    if label.isascii() and label.isprintable():
        return label.strip()
    while (clean := _cleaned_once(label)) != label:
        label = clean
    return label


def _cleaned_once(label: str) -> str:
    kept = [
        " " if character.isspace() else character
        for index, character in enumerate(label)
        if character.isspace() or not _is_invisible(label, index)
    ]
    return unicodedata.normalize("NFC", "".join(kept).strip())


def _is_invisible(label: str, index: int) -> bool:
    character = label[index]
    if character in _JOINERS and 0 < index < len(label) - 1:
        return label[index - 1].isascii() or label[index + 1].isascii()
    return unicodedata.category(character) in ("Cc", "Cf")


def difference(label: str, meant: str) -> str | None:
    """The barely visible difference between two labels; None if they are equal or differ otherwise."""
    if label == meant or _key(label) != _key(meant):
        return None
    ways = []
    if label != label.strip() or meant != meant.strip():
        ways.append("leading or trailing spaces")
    hidden = sorted({f"U+{ord(text[i]):04X}" for text in (label, meant) for i in range(len(text)) if _hidden(text, i)})
    if hidden:
        ways.append(f"an invisible character ({', '.join(hidden)})")
    if unicodedata.normalize("NFC", label) != label or unicodedata.normalize("NFC", meant) != meant:
        ways.append("its Unicode form")
    if cleaned(label) != cleaned(meant):
        ways.append("letter case or the number of spaces")
    return " and ".join(ways) or "blanks"


def _hidden(text: str, index: int) -> bool:
    return (text[index].isspace() and text[index] != " ") or (not text[index].isspace() and _is_invisible(text, index))


def _key(label: str) -> str:
    """A key that is equal for different spellings of one name."""
    return unicodedata.normalize("NFC", " ".join(cleaned(label).split()).casefold())


def respelled(labels: Mapping[str, int], preferred: Iterable[str]) -> dict[str, str]:
    """Labels that are probably misspellings of others.

    Args:
        labels: Number of shapes with each label.
        preferred: Known correct spellings, such as the ignored labels.

    Returns:
        Misspelled label -> intended spelling: of labels that differ only in letter case, spaces, invisible characters
        or Unicode form, the most frequent one, cleaned.
    """
    right = {_key(label): label for label in preferred}
    spellings: dict[str, dict[str, int]] = {}
    for label, count in labels.items():
        spelling = cleaned(label)
        if spelling:
            counts = spellings.setdefault(_key(label), {})
            counts[spelling] = counts.get(spelling, 0) + count
    for key, counts in spellings.items():
        right.setdefault(key, min(counts, key=lambda spelling: (-counts[spelling], spelling)))
    meant = {label: right[_key(label)] for label in labels if cleaned(label)}
    return {label: spelling for label, spelling in meant.items() if label != spelling}


class LabelMap:
    """Maps labels to classes, according to the section ``data``.

    The name of a class or ignored label maps to itself; otherwise an alias with exactly that name is used, then the
    aliases whose regular expression matches the whole label.

    Args:
        data: Classes, ignored labels, aliases.
        classes_known: Whether to use ``data.classes``; otherwise every label is accepted.
    """

    def __init__(self, data: Data, *, classes_known: bool) -> None:
        self._classes, self._aliases = data.classes, data.aliases
        self._ignored, self._classes_known = frozenset(data.ignored_labels), classes_known
        self._known = frozenset(data.classes) | self._ignored

    def target(self, label: str) -> str:
        """The class or ignored label of a label; the label itself if it matches none, or several."""
        if label in self._known or not self._aliases:
            return label
        if label in self._aliases:
            return self._aliases[label]
        targets = set(self._matching(label).values())
        return targets.pop() if len(targets) == 1 else label

    def is_ignored(self, target: str) -> bool:
        """Whether shapes with this target are ignored on purpose."""
        return target in self._ignored

    def is_class(self, target: str) -> bool:
        """Whether shapes with this target are objects."""
        return not self.is_ignored(target) if not self._classes_known else target in self._known - self._ignored

    def fault(self, label: str) -> tuple[str, str]:
        """The reason and remedy for a label that maps to no class."""
        matching = self._matching(label)
        if len(matching) > 1:
            said = " and ".join(f"{pattern!r} ({target!r})" for pattern, target in matching.items())
            return f"the label matches several entries of data.aliases: {said}", "add an alias with exactly that name"
        for known in (*self._classes, *sorted(self._ignored)):
            if ways := difference(label, known):
                kind = "ignored label" if known in self._ignored else "class"
                return f"the label differs from {kind} {known!r} by {ways}", respelling_remedy(known)
        near = difflib.get_close_matches(label, self._classes, n=1, cutoff=0.6)
        meant = f" (did you mean {near[0]!r}?)" if near else ""
        remedy = "rename it, or add it to data.classes, data.ignored_labels or data.aliases"
        return f"the label is not in data.classes{meant}", remedy

    def _matching(self, label: str) -> dict[str, str]:
        return {pattern: target for pattern, target in self._aliases.items() if re.fullmatch(pattern, label)}


def respelling_remedy(meant: str) -> str:
    """How to fix a misspelled label."""
    return f"rename it to {meant!r}, or map it with data.aliases"
