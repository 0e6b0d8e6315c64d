"""A file that a command may replace: one that it wrote itself, and no other."""

from __future__ import annotations

import os
from pathlib import Path

from sightline.errors import DataError

_READ = 64 * 2**10
"""Bytes at a file's beginning that tell what it is."""


def require_own(path: Path, marks: tuple[bytes, ...], what: str, option: str) -> None:
    """Refuse to replace a file that is not of the kind that the command writes, before any work.

    Args:
        path: What is to be written; where nothing is, or an empty file, all is well.
        marks: Each is at the beginning of every file of that kind.
        what: What that kind is called, for the message.
        option: The option that names another file, for the message.

    Raises:
        DataError: Something else is there, or a parent of it is not a folder.
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
