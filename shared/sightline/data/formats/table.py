"""Reads the cells of CSV files: encoding, delimiter, header, lines."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sightline.data.annotations import Fault
from sightline.data.formats.image_index import Place
from sightline.data.formats.labels import cleaned
from sightline.plural import counted

SUFFIXES = (".csv", ".tsv")
DELIMITERS = (",", ";", "\t", "|")

MAX_BYTES = 256 * 1024**2
"""A larger file is rejected unread."""

_DECLARATION = re.compile(r"sep=([,;|\t])\r?\n")

_QUOTED_LENGTH = 100
"""Maximum number of characters of a line in a message."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row.

    Attributes:
        line: Its first line in the file, from 1.
        cells: Column -> value, without spaces around it.
    """

    line: int
    cells: dict[str, str]


@dataclass(frozen=True, slots=True)
class Table:
    """A CSV file.

    Attributes:
        file: Its path relative to the annotation folder.
        columns: The names in its header, in their order.
        rows: The usable rows.
        faults: The faults of the file and of its other rows.
    """

    file: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    faults: tuple[Fault, ...]


def read_table(root: Path, file: str) -> Table:
    """Read a CSV file with a header.

    The text is UTF-8, with or without a byte order mark; the delimiter is the one that a first line such as ``sep=;``
    declares for Excel, or the one of :data:`DELIMITERS` that the header contains most.

    Args:
        root: The annotation folder.
        file: Path of the file relative to it.
    """
    text, fault = _text(root / file, Place(file))
    if fault is not None:
        return Table(file, (), (), (fault,))
    declared = _DECLARATION.match(text)
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = declared[1] if declared else max(DELIMITERS, key=first.count)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: tuple[str, ...] = ()
    faults: list[Fault] = []
    rows: list[Row] = []
    for line, cells in _lines(lines, file):
        if isinstance(cells, Fault):
            faults.append(cells)
        elif declared and line == 1:
            continue
        elif not header:
            header, fault = _header(cells, Place(file, f"line {line}"))
            if fault is not None:
                return Table(file, (), (), (fault,))
        elif len(cells) != len(header):
            reason = f"it has {counted(len(cells), 'column')}, expected {len(header)} ({_shown(delimiter.join(cells))})"
            remedy = "correct the line; a value that contains the delimiter must be in quotation marks"
            faults.append(Place(file, f"line {line}").fault("broken_row", reason, remedy))
        else:
            rows.append(Row(line, dict(zip(header, map(cleaned, cells), strict=True))))
    if not rows and not faults:
        reason = "no line follows the header" if header else "the file is empty"
        faults.append(Place(file).fault("broken_row", reason, "write a header and a line for each image"))
    return Table(file, header, tuple(rows), tuple(faults))


def _text(path: Path, place: Place) -> tuple[str, Fault | None]:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            reason = f"it has {size:,} bytes, more than {MAX_BYTES:,}"
            return "", place.fault("broken_row", reason, "divide it into several files")
        content = path.read_bytes()
    except OSError as error:
        reason = f"the file cannot be read ({error.strerror or error})"
        return "", place.fault("broken_row", reason, "check what it is")
    try:
        return content.decode("utf-8-sig"), None
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        reason = f"the file is not UTF-8 (byte 0x{content[error.start]:02x} in line {line})"
        return "", place.fault("broken_row", reason, "save it as CSV UTF-8")


def _lines(lines: Iterator[list[str]], file: str) -> Iterator[tuple[int, list[str] | Fault]]:
    """The first line number of each row that is not blank, and its cells; reading ends at a line that is no CSV."""
    while True:
        first = getattr(lines, "line_num", 0) + 1
        try:
            cells = next(lines)
        except StopIteration:
            return
        except csv.Error as error:
            place, remedy = Place(file, f"line {first}"), "correct the line; later lines are not read"
            yield first, place.fault("broken_row", f"the line is not CSV ({error})", remedy)
            return
        if any(cell.strip() for cell in cells):
            yield first, cells


def _header(cells: Sequence[str], place: Place) -> tuple[tuple[str, ...], Fault | None]:
    names = tuple(map(cleaned, cells))
    if "" in names:
        reason = f"column {names.index('') + 1} has no name"
        return (), place.fault("broken_row", reason, "name every column in the first line")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        return (), place.fault("broken_row", f"two columns are named {twice!r}", "rename or remove one of them")
    return names, None


def _shown(line: str) -> str:
    return repr(line if len(line) <= _QUOTED_LENGTH else line[: _QUOTED_LENGTH - 3] + "...")
