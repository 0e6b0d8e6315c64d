"""Preprocessing of images for the network, recorded in the model file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torchvision.models.detection.image_list import ImageList

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
_STRIDE = 32


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How an image becomes the input of the network.

    Attributes:
        image_size: Longer side after resizing (bilinear, :func:`sightline.data.loading.transforms.fit_image`), pixels.
        mean: RGB; subtracted from values of 0 to 1.
        std: RGB; the divisor after that.
    """

    image_size: int
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD


def as_tensor(image: npt.NDArray[np.uint8]) -> torch.Tensor:
    """An image, uint8 [height, width, 3], as an input tensor of the network: uint8 [3, height, width]."""
    return torch.from_numpy(image).permute(2, 0, 1)


class InputBatch(nn.Module):
    """Batches and normalizes images of several sizes; replaces torchvision's resizing transform.

    Images are already fitted to the input size, and detections stay in input pixels; the caller that resized an image
    scales its detections back.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(preprocessing.mean).view(3, 1, 1) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(preprocessing.std).view(3, 1, 1) * 255, persistent=False)

    def forward(
        self, images: Sequence[torch.Tensor], targets: list[dict[str, torch.Tensor]] | None = None
    ) -> tuple[ImageList, list[dict[str, torch.Tensor]] | None]:
        """Normalize, and pad with zeros on the right and at the bottom to sides that are multiples of 32.

        Args:
            images: Images, uint8 [3, height, width] each.
            targets: Returned unchanged.  If they have ``canvas_hw``, the images are padded to at least that size, so
                that an image gives the same features in a batch of any size.
        """
        sizes = [(image.shape[1], image.shape[2]) for image in images]
        canvases = [target["canvas_hw"].tolist() for target in targets or () if "canvas_hw" in target]
        height, width = (self.padded(max(side)) for side in zip(*sizes, *canvases, strict=True))
        batch = images[0].new_zeros((len(images), 3, height, width), dtype=torch.float32)
        for row, image in zip(batch, images, strict=True):
            row[:, : image.shape[1], : image.shape[2]].copy_(image).sub_(self.mean).div_(self.std)
        return ImageList(batch, sizes), targets

    @staticmethod
    def padded(side: int) -> int:
        """The side of the input for images with this side, a multiple of 32, in pixels."""
        return -(-side // _STRIDE) * _STRIDE

    def postprocess(
        self,
        detections: list[dict[str, torch.Tensor]],
        image_sizes: list[tuple[int, int]],  # noqa: ARG002  (torchvision passes them)
        original_sizes: list[tuple[int, int]],  # noqa: ARG002
    ) -> list[dict[str, torch.Tensor]]:
        """Return the detections unchanged: boxes in input pixels, masks as probabilities in their boxes."""
        return detections
