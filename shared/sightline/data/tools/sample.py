"""Copies a seeded fraction of every class of a dataset."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from sightline.data.tools.listing import Item, Listing, list_items
from sightline.data.tools.new_folder import copy_file, new_folder, require_new
from sightline.errors import DataError
from sightline.logs import Progress


@dataclass(frozen=True, slots=True)
class Sample:
    """The result of sampling.

    Attributes:
        chosen: Class folder, or the rarest label of a labelme file -> number of chosen images.
        available: The same -> number of images.
        other: Files that belong to no labeled image, which are not copied.
    """

    chosen: dict[str, int]
    available: dict[str, int]
    other: tuple[str, ...]


def sample(source: Path, out: Path, fraction: float, seed: int = 0, *, dry_run: bool = False) -> Sample:
    """Copy a fraction of the images of every class folder, or of the labelme files of every label.

    A labelme file with several labels counts for the rarest.  Whether an image is chosen depends on the seed and its
    path, not on the order of files; a larger fraction contains the images of a smaller one.  At least one image of each
    class is chosen.

    Args:
        source: Class folders with images, or labelme files with images.
        out: The new folder; paths below it are those of ``source``.
        fraction: Above 0, at most 1.
        seed: Another seed chooses other images.
        dry_run: Whether only to compute the result.

    Raises:
        DataError: The fraction is out of range, ``source`` has no labeled images, or ``out`` exists.
        StepError: ``out`` cannot be written.
    """
    if not 0 < fraction <= 1:
        raise DataError(f"fraction: {fraction:g}; expected a number above 0, at most 1, such as 0.1")
    require_new(out, source)
    listing = list_items(source)
    chosen = {label: _chosen(items, fraction, seed) for label, items in listing.classes.items()}
    if not dry_run:
        _copy(listing, [item for items in chosen.values() for item in items], out)
    return Sample(
        {label: len(items) for label, items in chosen.items()},
        {label: len(items) for label, items in listing.classes.items()},
        listing.other,
    )


def _chosen(items: list[Item], fraction: float, seed: int) -> list[Item]:
    count = max(1, round(len(items) * fraction))
    return sorted(sorted(items, key=lambda item: _rank(item, seed))[:count], key=lambda item: item.files)


def _rank(item: Item, seed: int) -> str:
    return hashlib.sha256(f"{seed}:{item.files[0]}".encode()).hexdigest()


def _copy(listing: Listing, items: list[Item], out: Path) -> None:
    with new_folder(out, listing.root) as part, Progress("copy images", total=len(items), unit="images") as progress:
        for item in items:
            for name in item.files:
                copy_file(listing.root / name, part / name)
            progress.advance()
