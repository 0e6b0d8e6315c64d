"""Decoded images in memory, shared by all workers of a training process."""

from __future__ import annotations

import mmap
from collections.abc import Iterable

from PIL import Image

_CHANNELS = 3


class ImageCache:
    """The first images of a training set that fit into a limit, as RGB at the size of the network's input.

    The memory is anonymous and shared with processes that are forked later.  It is used up only as images are added,
    and is free as soon as the last of these processes ends.  Two processes may add the same image at the same time,
    because they write the same bytes.

    Args:
        sizes_wh: Width and height of each image in pixels.
        limit_bytes: Limit for all images together.
    """

    def __init__(self, sizes_wh: Iterable[tuple[int, int]], limit_bytes: int) -> None:
        self._offsets = [0]
        for width, height in sizes_wh:
            offset = self._offsets[-1] + _CHANNELS * width * height
            if offset > limit_bytes:
                break
            self._offsets.append(offset)
        # One byte per image at the end says that the image is complete.
        self._memory = mmap.mmap(-1, self._offsets[-1] + len(self)) if len(self) else None

    def __len__(self) -> int:
        """The number of images that there is room for."""
        return len(self._offsets) - 1

    def __reduce__(self) -> tuple[type[ImageCache], tuple[list[tuple[int, int]], int]]:
        """A process that is not forked has no part in the memory, and no cache."""
        return type(self), ([], 0)

    def get(self, index: int, width: int, height: int) -> Image.Image | None:
        """The image at an index from 0; None if it is not in the cache."""
        if self._memory is None or index >= len(self) or not self._memory[self._offsets[-1] + index]:
            return None
        view = memoryview(self._memory)[self._offsets[index] : self._offsets[index + 1]]
        return Image.frombytes("RGB", (width, height), view)

    def add(self, index: int, image: Image.Image) -> None:
        """Add the image at an index from 0, if there is room for it."""
        if self._memory is None or index >= len(self):
            return
        begin, end = self._offsets[index : index + 2]
        self._memory[begin:end] = image.tobytes()
        self._memory[self._offsets[-1] + index] = 1
