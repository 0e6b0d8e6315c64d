"""Passes samples from a worker to the training process: pixels in one block of shared memory, the rest pickled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from sightline.data.loading.dataset import Sample
from sightline.errors import SightlineError

if TYPE_CHECKING:
    import torch

_NO_PIXELS = np.zeros((0, 0, 3), dtype=np.uint8)


@dataclass(frozen=True, slots=True)
class Packed:
    """Samples on their way between two processes.

    Attributes:
        pixels: uint8 [N], the images one after another.
        sizes_hw: Height and width of each image.
        samples: The samples without their images.
    """

    pixels: torch.Tensor
    sizes_hw: list[tuple[int, int]]
    samples: list[Sample]

    def pin_memory(self) -> Packed:
        """The samples in memory that a GPU can copy from while it computes; called by torch's data loader."""
        return replace(self, pixels=self.pixels.pin_memory())

    def unpacked(self) -> list[Sample]:
        """The samples; their images share the memory of :attr:`pixels`."""
        pixels = self.pixels.numpy()
        ends = np.cumsum([0, *(3 * height * width for height, width in self.sizes_hw)]).tolist()
        return [
            replace(sample, image=pixels[begin:end].reshape(*size, 3))
            for sample, size, begin, end in zip(self.samples, self.sizes_hw, ends[:-1], ends[1:], strict=True)
        ]


@dataclass(frozen=True, slots=True)
class Failed:
    """An error of a worker, to be raised in the training process: torch would keep only its text."""

    error: SightlineError


def packed(samples: Sequence[Sample]) -> Packed:
    """Samples with their pixels in shared memory."""
    import torch

    sizes = [(sample.image.shape[0], sample.image.shape[1]) for sample in samples]
    pixels = torch.empty(sum(sample.image.size for sample in samples), dtype=torch.uint8)
    pixels.share_memory_()  # type: ignore[no-untyped-call]
    begin = 0
    for sample in samples:
        pixels.numpy()[begin : begin + sample.image.size] = sample.image.ravel()
        begin += sample.image.size
    return Packed(pixels, sizes, [replace(sample, image=_NO_PIXELS) for sample in samples])
