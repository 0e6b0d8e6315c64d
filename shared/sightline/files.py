"""Atomic writing of files, and their digests."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from sightline.errors import StepError


def write_atomically(path: Path, text: str) -> None:
    """Replace the file ``path`` atomically: readers see the old or the new text, never a part.

    Raises:
        StepError: The file cannot be written.
    """
    try:
        with written_whole(path) as stream:
            stream.write(text.encode())
    except OSError as error:
        raise StepError(
            f"cannot write {path}: {error.strerror or error}; free some space or fix the permissions, then run the "
            "same "
            "command again"
        ) from error


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[BinaryIO]:
    """A hidden ``.part`` file next to ``path``, synced and renamed to it at the end, or removed after an error.

    Raises:
        OSError: The disk is full, or the folder is not writable.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with temporary_file(path.parent, f".{path.name.encode()[:64].decode(errors='ignore')}.") as (part, stream):
        yield stream
        sync(stream)
        part.replace(path)
    sync_folder(path.parent)


@contextlib.contextmanager
def temporary_file(folder: Path, prefix: str) -> Iterator[tuple[Path, BinaryIO]]:
    """A new file, removed at the end unless it was renamed in the meantime."""
    path = folder / f"{prefix}{secrets.token_hex(8)}.part"
    stream = path.open("xb")
    try:
        with stream:
            yield path, stream
    finally:
        path.unlink(missing_ok=True)


def sync(stream: BinaryIO) -> None:
    """Write buffered data of a file to the disk."""
    stream.flush()
    os.fsync(stream.fileno())


def sync_folder(folder: Path) -> None:
    """Make the entries of a folder durable, so that they survive a power failure."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folders(folder: Path) -> None:
    """Create a folder and its parents durably, so that they survive a power failure."""
    if folder.is_dir():
        return
    make_folders(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def file_md5(path: Path) -> str:
    """MD5 of a file, hexadecimal; only for comparison with digests of publishers that give no other."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
