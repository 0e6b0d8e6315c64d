"""Images without labels in a folder or below a URI, for pre-labels."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from sightline.data.formats.coco import CocoImage
from sightline.data.formats.image_index import composed
from sightline.data.images import IMAGE_SUFFIXES, UnreadableImageError, image_facts
from sightline.errors import DataError
from sightline.plural import counted
from sightline.relative_path import fault_in
from sightline.storage import open_storage


@dataclass(frozen=True)
class UnlabelledFolder:
    """Images without labels.

    Attributes:
        root: The folder of their copies.
        listed: The images as entries of a COCO document, in the order of their names.
        notes: Images that were left out, in full sentences.
    """

    root: Path
    listed: list[CocoImage]
    notes: list[str]

    def name_of(self, image: CocoImage) -> str:
        """A name for the image that no other has without its extension, because each gets a JSON file of its own."""
        return self._names[image["id"]]

    @cached_property
    def _names(self) -> dict[int, str]:
        taken: set[str] = set()
        names = {}
        for image in self.listed:
            path = PurePosixPath(image["file_name"])
            stems = (path.stem, *(f"{path.stem}-{number}" for number in range(2, len(self.listed) + 2)))
            stem = next(one for one in stems if composed(str(path.with_name(one))).casefold() not in taken)
            taken.add(composed(str(path.with_name(stem))).casefold())
            names[image["id"]] = str(path.with_name(stem + path.suffix))
        return names

    @classmethod
    def open(cls, uri: str, root: Path, known: Collection[str], max_pixels: int) -> UnlabelledFolder:
        """Copy the images.

        Args:
            uri: Path of a folder, or a URI.
            root: The folder for the copies, which is created.
            known: SHA-256 of images that have labels already.
            max_pixels: Images with more pixels are left out.

        Raises:
            DataError: There are no images that can be used.
            StorageError: The folder or URI cannot be read.
        """
        storage = open_storage(uri)
        names = [one.key for one in storage.list() if _is_image(PurePosixPath(one.key))]
        listed: list[CocoImage] = []
        seen: dict[str, str] = {}
        labelled, twice, broken = 0, 0, []
        for name in names:
            if fault := fault_in(name):
                broken.append(f"{storage.uri_of(name)}: {fault}; rename it")
                continue
            content = storage.read_bytes(name)[0]
            try:
                facts = image_facts(content, max_pixels, name)
            except UnreadableImageError as error:
                broken.append(str(error))
                continue
            labelled += facts.sha256 in known
            twice += facts.sha256 in seen
            if facts.sha256 in known or facts.sha256 in seen:
                continue
            seen[facts.sha256] = name
            target = root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
            listed.append(
                {
                    "id": len(listed) + 1,
                    "file_name": name,
                    "width": facts.width,
                    "height": facts.height,
                    "sha256": facts.sha256,
                    "group": facts.sha256,
                    "labels": [],
                }
            )
        notes = [f"Left out because they have labels already: {counted(labelled, 'image')}."] if labelled else []
        notes += [f"Left out because they are copies of others: {counted(twice, 'image')}."] if twice else []
        notes += [f"Left out: {fault}" for fault in broken]
        if not listed:
            said = "".join(f"\n  {note}" for note in notes)
            endings = ", ".join(sorted(IMAGE_SUFFIXES))
            raise DataError(f"--images: {uri} has no images without labels ({endings}); give another folder{said}")
        return cls(root, listed, notes)


def _is_image(path: PurePosixPath) -> bool:
    """Whether a path is that of an image; hidden files and folders cannot be part of a version."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not any(
        part.startswith(".") for part in path.parts if part != ".."
    )
