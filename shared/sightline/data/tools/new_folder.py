"""Output that appears as a whole: a new folder or file is written under a hidden name and renamed at the end."""

from __future__ import annotations

import glob
import logging
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sightline.errors import DataError, StepError
from sightline.files import sync_folder

_log = logging.getLogger(__name__)


def require_new(out: Path, source: Path | None = None) -> None:
    """Refuse an output path that is taken, or lies in the source.

    Args:
        out: The folder or file to write; an empty folder counts as free.
        source: The folder that is read.

    Raises:
        DataError: The path exists, or lies within ``source``.
    """
    if os.path.lexists(out) and not (out.is_dir() and not out.is_symlink() and not any(out.iterdir())):
        raise DataError(f"{out} already exists; nothing was written: give another path, or move it away")
    if source is not None and source.is_dir():
        real, base = Path(os.path.realpath(out)), Path(os.path.realpath(source))
        if real.is_relative_to(base):
            raise DataError(f"{out} is inside the source {source}, which must not change; give a folder outside of it")


@contextmanager
def new_folder(out: Path, source: Path | None = None) -> Iterator[Path]:
    """A hidden folder next to ``out``, renamed to it at the end; removed after an error.

    Args:
        out: The folder to create; its parents are created too.
        source: The folder that is read, in which ``out`` must not lie.

    Raises:
        DataError: ``out`` exists already, or lies within ``source``.
        StepError: It cannot be written.
    """
    require_new(out, source)
    _report_left_over(out)
    part = out.parent / f".{out.name[:64]}.{secrets.token_hex(8)}.part"
    try:
        part.mkdir(parents=True)
        try:
            yield part
            require_new(out)
            part.replace(out)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        sync_folder(out.parent)
    except OSError as error:
        if isinstance(error, StepError):
            raise
        raise StepError(
            f"cannot write {out}: {error.strerror or error}; nothing was left there: free some space or fix the "
            "permissions, then run the same command again"
        ) from error


def _report_left_over(out: Path) -> None:
    """Name the hidden folders of killed calls, which nothing else shows; they are never deleted unasked."""
    for left in sorted(out.parent.glob(f".{glob.escape(out.name[:64])}.*.part")):
        _log.warning("%s is left over from a call that was killed, or still being written; it can be deleted", left)


def copy_file(source: Path, target: Path) -> None:
    """Copy a file's bytes and its modification time; parent folders are created."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    shutil.copystat(source, target)
