"""Writing a generated dataset: files are written atomically and never overwritten, so that a set can be completed."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from sightline.errors import DataError
from sightline.logs import Progress

MIN_SIDE, MAX_SIDE = 96, 4096
MAX_SEED = 2**32 - 1

_JPEG_QUALITY = 92


@dataclass(frozen=True, slots=True)
class Layout:
    """The files of a dataset.

    Attributes:
        noun: What the images show, in the plural.
        extensions: For each folder of the dataset, "" for the dataset's own: the extensions of the files that are named
            like their image.
        others: Files of the dataset's own folder with fixed names.
    """

    noun: str
    extensions: Mapping[str, tuple[str, ...]]
    others: tuple[str, ...] = ()


def check_image(seed: int, index: int, size: tuple[int, int]) -> None:
    """Check what identifies an image.

    Raises:
        DataError: The seed is not 0 to 2**32 - 1, the index is negative, or a side is not 96 to 4096 pixels.
    """
    if not 0 <= seed <= MAX_SEED:
        raise DataError(f"seed {seed}: expected 0 to {MAX_SEED}")
    if index < 0:
        raise DataError(f"image index {index}: indices start at 0")
    if not all(MIN_SIDE <= side <= MAX_SIDE for side in size):
        raise DataError(f"image size {size[0]}x{size[1]}: each side must be {MIN_SIDE} to {MAX_SIDE} pixels")


def write_images(
    folder: Path,
    layout: Layout,
    draw: Callable[[int, str], Mapping[str, bytes]],
    *,
    images: int,
    start: int,
    prefix: str,
) -> list[Path]:
    """Draw images and write them and their annotations into a folder.

    Args:
        folder: Created if it does not exist; must not contain files other than those of this dataset.
        layout: The files of this dataset.
        draw: Given the index of an image and its name without extension: the files by their paths in ``folder``.
        images: Number of images, at least 1.
        start: Index of the first image.
        prefix: Prefix of the file names, before the index.

    Returns:
        The last file of each image.

    Raises:
        DataError: An argument is out of range, or the folder contains other files or cannot be written.
    """
    if images < 1:
        raise DataError(f"number of images {images}: expected at least 1")
    if any(mark in prefix for mark in ("/", "\\", "\0")) or prefix.startswith("."):
        raise DataError(
            f"prefix {prefix!r}: expected the beginning of a file name, without slashes and without a leading dot"
        )
    names = {index: f"{prefix}{index:04d}" for index in range(start, start + images)}
    _prepare(folder, layout, prefix)
    written: list[Path] = []
    with Progress(f"draw {layout.noun}", total=images, unit="images") as progress:
        for index, name in progress.track(names.items()):
            for path, data in draw(index, name).items():
                _write_once(folder / path, data)
            written.append(folder / path)
    return written


def jpeg(image: Image.Image) -> bytes:
    """The image as a JPEG file."""
    data = io.BytesIO()
    image.save(data, format="JPEG", quality=_JPEG_QUALITY)
    return data.getvalue()


def replace_file(path: Path, data: bytes) -> None:
    """Write a file atomically; an existing one is replaced.

    Raises:
        DataError: The file cannot be written.
    """
    temporary = path.with_name(_temporary(path.name))
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise _not_written(path, error) from error


def _prepare(folder: Path, layout: Layout, prefix: str) -> None:
    """Create the folders; reject files other than those of a dataset and of interrupted writes."""
    _create(folder)
    foreign: list[str] = []
    for subfolder, extensions in layout.extensions.items():
        own = [rf"{re.escape(prefix)}\d{{4,}}\.({'|'.join(extensions)})"] if extensions else []
        if not subfolder:
            own += [re.escape(name) for name in layout.others]
        names = "|".join(own)
        pattern = re.compile(rf"{names}|\.({names})\.partial")  # see _temporary
        folders = () if subfolder else layout.extensions
        strange = sorted(name for name in _entries(folder / subfolder) if not pattern.fullmatch(name))
        foreign += [f"{subfolder}/{name}".lstrip("/") for name in strange if name not in folders]
    if foreign:
        more = f" and {len(foreign) - 1} more that are" if len(foreign) > 1 else ", which is"
        raise DataError(
            f"{folder}: contains {foreign[0]}{more} not part of this dataset; draw into a new or empty folder"
        )
    for subfolder in layout.extensions:
        _create(folder / subfolder)


def _entries(folder: Path) -> list[str]:
    """The names in a folder; none if it does not exist."""
    try:
        return [path.name for path in folder.iterdir()] if folder.exists() else []
    except OSError as error:
        raise _unusable(folder, error) from error


def _create(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unusable(folder, error) from error


def _write_once(path: Path, data: bytes) -> None:
    """Write a file atomically; an existing file must have the same contents."""
    try:
        present = path.read_bytes() if path.exists() else None
    except OSError as error:
        raise _not_written(path, error) from error
    if present is None:
        replace_file(path, data)
    elif present != data:
        raise DataError(
            f"{path}: already exists with different contents (another seed, difficulty or size?); "
            "draw into a new folder, or delete this one first"
        )


def _unusable(folder: Path, error: OSError) -> DataError:
    return DataError(f"{folder}: cannot use it as a folder ({error.strerror}); choose another one")


def _not_written(path: Path, error: OSError) -> DataError:
    return DataError(f"{path}: cannot write the file ({error.strerror}); check disk and permissions")


def _temporary(name: str) -> str:
    return f".{name}.partial"
