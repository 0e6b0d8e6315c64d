"""Values that the database could not store exactly are refused before they are sent.

SQLite takes text of any length, MySQL compares text without the blanks at its end; so one rule holds for both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Table, Text

from sightline.errors import DatabaseError

MAX_TEXT_BYTES = 65_535
"""What MySQL's TEXT holds."""


def text_limits(table: Table) -> dict[str, int]:
    """The greatest number of characters of each key column of ``table``."""
    limits = {column.name: getattr(column.type, "length", None) for column in table.columns}
    return {name: limit for name, limit in limits.items() if limit is not None}


def check_key(where: str, value: str, limit: int) -> None:
    """Refuse text that a key column cannot hold exactly.

    Args:
        where: Table and column, for the message.
        value: The text.
        limit: The column's length, characters.

    Raises:
        DatabaseError: Too long, a blank at the end, a NUL, or not valid Unicode.
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
    """Refuse a row that ``table`` cannot hold exactly.

    Raises:
        DatabaseError: As :func:`check_key`; or a text over 65,535 bytes, or a number that is not finite.
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
