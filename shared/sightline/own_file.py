"""Protects files of the user: a command replaces only files that it wrote itself."""

from __future__ import annotations

import os
from pathlib import Path

from sightline.errors import DataError

_READ = 64 * 2**10
"""Number of bytes at the beginning of a file that identify its kind."""

_PAGE = (b"<!doctype html", b"default-src 'none'; img-src data:")


def require_own_page(path: Path) -> None:
    """Refuse a value of ``--html`` that is no page: a file of the user, or the next argument of the command.

    Raises:
        DataError: The name does not end in ``.html``, or as for :func:`require_own`.
    """
    if path.suffix.lower() not in {".html", ".htm"}:
        raise DataError(f"--html {path}: expected the name of a file that ends in .html, such as comparison.html")
    require_own(path, _PAGE, "a page of Sightline", "--html")


def require_own(path: Path, marks: tuple[bytes, ...], what: str, option: str) -> None:
    """Refuse to replace a file that is not of the kind that the command writes, before any work is done.

    Args:
        path: The path to write; it may be missing or an empty file.
        marks: Every file of that kind begins with one of these.
        what: Name of the kind, for the message.
        option: The option that sets another file, for the message.

    Raises:
        DataError: Another file exists at the path, or a parent of it is not a folder.
    """
    parent = next(folder for folder in path.absolute().parents if os.path.lexists(folder))
    if not parent.is_dir():
        raise DataError(f"{path} cannot be written: {parent} is not a folder; give another file with {option}")
    if not os.path.lexists(path):
        return
    if path.is_file():
        with path.open("rb") as file:
            beginning = file.read(_READ)
        if not beginning or all(mark in beginning for mark in marks):
            return
    raise DataError(f"{path} already exists and is not {what}; give another file with {option}, or move it away")
