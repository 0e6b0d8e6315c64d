"""Rejects values that the database could not store exactly, before they are sent.

SQLite accepts text of any length, MySQL ignores trailing spaces in comparisons; so one rule applies to both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Table, Text

from sightline.errors import DatabaseError

MAX_TEXT_BYTES = 65_535
"""Maximum size of MySQL's TEXT."""


def text_limits(table: Table) -> dict[str, int]:
    """The maximum length of each key column of ``table``, characters."""
    limits = {column.name: getattr(column.type, "length", None) for column in table.columns}
    return {name: limit for name, limit in limits.items() if limit is not None}


def check_key(where: str, value: str, limit: int) -> None:
    """Reject text that a key column cannot store exactly.

    Args:
        where: Table and column, for the message.
        value: The text.
        limit: Maximum length of the column, characters.

    Raises:
        DatabaseError: The text is too long, has a trailing space, contains a NUL, or is not valid Unicode.
    """
    if len(value) > limit:
        raise DatabaseError(f"{where}: {value[:80]!r}... has {len(value)} characters, the limit is {limit}; shorten it")
    if value[-1:].isspace() or "\0" in value:
        raise DatabaseError(
            f"{where}: {value!r} ends in a space or contains a NUL character, which databases drop; rename it"
        )
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise DatabaseError(f"{where}: {value!r} is not valid Unicode; rename it") from error


def check_row(table: Table, values: Mapping[str, Any]) -> None:
    """Reject a row that ``table`` cannot store exactly.

    Raises:
        DatabaseError: As for :func:`check_key`; or a text over 65,535 bytes, or a number that is not finite.
    """
    limits = text_limits(table)
    for name, value in values.items():
        where = f"{table.name}.{name}"
        if isinstance(value, str) and name in limits:
            check_key(where, value, limits[name])
        elif isinstance(value, float) and not math.isfinite(value):
            raise DatabaseError(f"{where}: {value} is not a finite number; leave out values that cannot be computed")
        elif isinstance(value, str) and isinstance(table.c[name].type, Text) and len(value.encode()) > MAX_TEXT_BYTES:
            raise DatabaseError(f"{where}: {len(value.encode())} bytes, the limit is {MAX_TEXT_BYTES}; shorten it")
