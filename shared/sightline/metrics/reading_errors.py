"""Differences between true structures and what was read: characters, edit distances, parts and kinds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from sightline.metrics.exact_match import ExactMatch, Reading

KIND, PLACE = "kind", "place"
"""What may be wrong besides a text: the kind of structure, and its place although all texts are right."""

_MANY = 4
"""Edit distances from here on are counted together."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one true structure was read.

    Attributes:
        image_id: The COCO id of the image.
        true: The true reading.
        read: The reading that it is compared with; None: nothing was read there.
        exact: Whether it was read exactly.
        distance: The edit distance of all texts together; None if nothing was read there.
        wrong: What is wrong: :data:`KIND`, names of texts, or :data:`PLACE`; empty if exact or not read.
        characters: Each true character with the one read for it; ``""`` for a missing and for an extra one.
    """

    image_id: int
    true: Reading
    read: Reading | None
    exact: bool
    distance: int | None
    wrong: tuple[str, ...]
    characters: tuple[tuple[str, str], ...]


def verdicts(result: ExactMatch, parts: Sequence[str] = ()) -> list[Verdict]:
    """How each true structure was read, in the order of the images.

    Args:
        result: The comparison.
        parts: Names of the texts of a reading; a text without one is called by its number, such as ``text 1``.
    """
    return [
        _verdict(image.image_id, true, read, exact=exact, parts=parts)
        for image in result.images
        for true, read, exact in zip(image.true, image.partners, image.exact, strict=True)
    ]


def _verdict(image_id: int, true: Reading, read: Reading | None, *, exact: bool, parts: Sequence[str]) -> Verdict:
    if read is None:
        return Verdict(image_id, true, None, False, None, (), ())
    aligned = [align(one, other) for one, other in zip_longest(true.texts, read.texts, fillvalue="")]
    distances = [sum(one != other for one, other in pairs) for pairs in aligned]
    wrong = [KIND] if true.kind != read.kind else []
    wrong += [part_name(index, parts) for index, distance in enumerate(distances) if distance]
    if not wrong and not exact:
        wrong = [PLACE]
    characters = tuple(pair for pairs in aligned for pair in pairs)
    return Verdict(image_id, true, read, exact, sum(distances), () if exact else tuple(wrong), characters)


def part_name(index: int, parts: Sequence[str]) -> str:
    """The name of a text by its position."""
    return parts[index] if index < len(parts) else f"text {index + 1}"


def align(true: str, read: str) -> list[tuple[str, str]]:
    """The pairs of characters of two texts with the fewest differences (Levenshtein, 1966).

    From the end on, a changed character is preferred to a missing one, and a missing one to an extra one.

    Returns:
        True and read characters in their order; ``""`` as the read one is a missing character, as the true one an extra
        character.  The number of unequal pairs is the edit distance.

    Example:
        >>> align("3456", "3556")
        [('3', '3'), ('4', '5'), ('5', '5'), ('6', '6')]
        >>> align("12a", "1a")
        [('1', '1'), ('2', ''), ('a', 'a')]
    """
    costs = [list(range(len(read) + 1))]
    for row, character in enumerate(true, start=1):
        above, line = costs[-1], [row]
        for column, other in enumerate(read, start=1):
            changed = above[column - 1] + (character != other)
            line.append(min(changed, above[column] + 1, line[column - 1] + 1))
        costs.append(line)
    pairs: list[tuple[str, str]] = []
    row, column = len(true), len(read)
    while row or column:
        cost = costs[row][column]
        if row and column and cost == costs[row - 1][column - 1] + (true[row - 1] != read[column - 1]):
            row, column = row - 1, column - 1
            pairs.append((true[row], read[column]))
        elif row and cost == costs[row - 1][column] + 1:
            row -= 1
            pairs.append((true[row], ""))
        else:
            column -= 1
            pairs.append(("", read[column]))
    return pairs[::-1]


def errors_document(found: Sequence[Verdict], parts: Sequence[str] = ()) -> dict[str, Any]:
    """All verdicts together, as JSON values for pages.

    Args:
        found: From :func:`verdicts`.
        parts: As for :func:`verdicts`.

    Returns:
        ``characters``: ``labels`` and ``matrix``, counts of true (rows) and read (columns) characters, the last row and
        column for extra and missing ones; ``distances``: number of structures by edit distance; ``mean_distance`` of
        those that were read; ``not_read``: number of the others; ``wrong``: what is wrong -> number of structures;
        ``kinds``: kind -> ``true`` and ``exact``.
    """
    read = [verdict for verdict in found if verdict.distance is not None]
    distances = [verdict.distance or 0 for verdict in read]
    texts = max((len(verdict.true.texts) for verdict in found), default=0)
    names = [KIND, *(part_name(index, parts) for index in range(texts)), PLACE]
    wrong = Counter(name for verdict in read for name in verdict.wrong)
    kinds = Counter(verdict.true.kind for verdict in found)
    exact = Counter(verdict.true.kind for verdict in found if verdict.exact)
    by_distance = Counter(min(distance, _MANY) for distance in distances)
    return {
        "characters": _confusion(pair for verdict in read for pair in verdict.characters),
        "distances": {f"{number}{' or more' * (number == _MANY)}": by_distance[number] for number in range(_MANY + 1)},
        "mean_distance": sum(distances) / len(distances) if distances else None,
        "not_read": len(found) - len(read),
        "wrong": {name: wrong[name] for name in dict.fromkeys([*names, *wrong])},
        "kinds": {kind: {"true": kinds[kind], "exact": exact[kind]} for kind in sorted(kinds)},
    }


def _confusion(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    counts = Counter(pairs)
    labels = [*sorted({character for pair in counts for character in pair} - {""}), ""]
    matrix = [[counts[true, read] for read in labels] for true in labels]
    return {"labels": [*labels[:-1], "none"], "matrix": matrix} if counts else {"labels": [], "matrix": []}
