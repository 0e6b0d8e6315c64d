"""Restricts a COCO file to the images that are present."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sightline.data.tools.coco_source import ImageFiles, coco_text, read_source
from sightline.data.tools.new_folder import require_new
from sightline.errors import DataError
from sightline.files import write_atomically


@dataclass(frozen=True, slots=True)
class Synced:
    """The result of synchronizing.

    Attributes:
        images: Number of images that remain.
        annotations: Number of annotations that remain.
        removed: ``file_name`` of each image that is not present, sorted.
        removed_annotations: Number of annotations of removed images.
        unlisted: Images of the folder that the COCO file does not list, sorted.
    """

    images: int
    annotations: int
    removed: tuple[str, ...]
    removed_annotations: int
    unlisted: tuple[str, ...]


def sync(coco: Path, images: Path, out: Path, *, dry_run: bool = False) -> Synced:
    """Write a new COCO file with only the images that a folder contains; ids and all other fields stay.

    Args:
        coco: The COCO file.
        images: The folder with the images.
        out: The new COCO file.
        dry_run: Whether only to compute the result.

    Raises:
        DataError: ``coco`` is not a COCO file, ``images`` is not a folder or has none of its images, or ``out`` exists.
        StepError: ``out`` cannot be written.
    """
    require_new(out)
    source, files = read_source(coco), ImageFiles(images)
    found = {image["id"]: files.find(str(image["file_name"])) for image in source.document["images"]}
    present = {image_id for image_id, name in found.items() if name is not None}
    if not present:
        raise DataError(
            f"{images} has none of the {len(found):,} images of {coco}; give the folder that file_name is relative to"
        )
    document = source.restricted(present)
    if not dry_run:
        write_atomically(out, coco_text(document))
    before = len(source.document["annotations"])
    return Synced(
        len(document["images"]),
        len(document["annotations"]),
        tuple(sorted(str(one["file_name"]) for one in source.document["images"] if one["id"] not in present)),
        before - len(document["annotations"]),
        tuple(sorted(files.names - set(found.values()))),
    )
