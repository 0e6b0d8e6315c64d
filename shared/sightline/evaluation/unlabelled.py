"""Unlabeled images that test also predicts on: the images in a folder or below a URI."""

from __future__ import annotations

import hashlib
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from sightline.errors import ConfigurationError, DataError
from sightline.storage import open_storage

if TYPE_CHECKING:
    from PIL.Image import Image


class UnlabelledImages:
    """The images of ``test.images``.

    Args:
        uri: Path of a folder, or a URI; empty: no images.

    Raises:
        ConfigurationError: There are no images.
        StorageError: The folder or URI cannot be read.
    """

    def __init__(self, uri: str) -> None:
        from sightline.data.images import IMAGE_SUFFIXES

        self._storage = open_storage(uri) if uri else None
        objects = [] if self._storage is None else list(self._storage.list())
        self._objects = {info.key: info for info in objects if PurePosixPath(info.key).suffix.lower() in IMAGE_SUFFIXES}
        if uri and not self._objects:
            raise ConfigurationError(
                f"test.images: no images below {uri}; give a folder with images "
                f"({', '.join(sorted(IMAGE_SUFFIXES))}), or leave it empty"
            )

    def __len__(self) -> int:
        return len(self._objects)

    @property
    def digest(self) -> str:
        """A digest that changes when an image is added, removed or changed; empty without images."""
        listed = "\n".join(f"{info.key} {info.size} {info.crc32c}" for info in self._objects.values())
        return hashlib.sha256(listed.encode()).hexdigest() if listed else ""

    @property
    def names(self) -> list[str]:
        """POSIX paths relative to the folder or URI, sorted."""
        return list(self._objects)

    def read(self, name: str, max_pixels: int) -> Image:
        """Fetch and decode one image.

        Raises:
            DataError: The image cannot be read, or is too large.
        """
        from sightline.data.images import read_image, require_size

        assert self._storage is not None  # noqa: S101
        try:
            require_size("the image", self._objects[name].size, max_pixels)
            return read_image(self._storage.read_bytes(name)[0], max_pixels)
        except DataError as error:
            raise DataError(
                f"test.images: {self._storage.uri_of(name)}: {str(error).removeprefix('the image: ')}"
            ) from error
