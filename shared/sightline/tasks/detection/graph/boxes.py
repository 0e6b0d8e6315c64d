"""Operations on images and boxes of a whole batch, traceable with any batch and image size."""

from __future__ import annotations

import math

import torch
from torch import nn

_LARGEST_SCALE = math.log(1000 / 16)
"""Limit of the logarithm of a predicted scale, as in Fast R-CNN and torchvision."""


class Normalization(nn.Module):
    """Normalizes a batch of images as :class:`sightline.models.preprocessing.InputBatch` does.

    Args:
        mean: [3, 1, 1], in values of 0 to 255.
        std: [3, 1, 1], in values of 0 to 255.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, mean: torch.Tensor, std: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean.clone())
        self.register_buffer("std", std.clone())

    def forward(self, images: torch.Tensor, sizes: torch.Tensor) -> torch.Tensor:
        """Normalize; pixels outside of an image become zero.

        Args:
            images: uint8 [B, 3, H, W].
            sizes: Height and width of each image, int64 [B, 2]; it is at the top left.
        """
        rows = torch.arange(images.shape[2], device=images.device)[None, :, None] < sizes[:, :1, None]
        columns = torch.arange(images.shape[3], device=images.device)[None, None, :] < sizes[:, 1:, None]
        return (images.float() - self.mean) / self.std * (rows & columns)[:, None]


def decode_boxes(deltas: torch.Tensor, boxes: torch.Tensor, weights: tuple[float, ...]) -> torch.Tensor:
    """Boxes xyxy [..., 4] from reference boxes [..., 4] and their predicted changes [..., 4] (R-CNN, appendix C).

    Args:
        deltas: Change of the center in widths and heights, and of the logarithm of width and height.
        boxes: Reference boxes, xyxy.
        weights: Divisors of the changes.
    """
    width, height = boxes[..., 2] - boxes[..., 0], boxes[..., 3] - boxes[..., 1]
    across, down, wider, higher = (delta / weight for delta, weight in zip(deltas.unbind(-1), weights, strict=True))
    x = across * width + boxes[..., 0] + 0.5 * width
    y = down * height + boxes[..., 1] + 0.5 * height
    half_width = 0.5 * torch.exp(wider.clamp(max=_LARGEST_SCALE)) * width
    half_height = 0.5 * torch.exp(higher.clamp(max=_LARGEST_SCALE)) * height
    return torch.stack((x - half_width, y - half_height, x + half_width, y + half_height), dim=-1)


def clip_boxes(boxes: torch.Tensor, sizes: torch.Tensor) -> torch.Tensor:
    """Boxes [B, N, 4] xyxy cut at the borders of their images, whose heights and widths are ``sizes`` [B, 2]."""
    limits = sizes.flip(1).repeat(1, 2)[:, None].to(boxes.dtype)
    return torch.minimum(boxes.clamp(min=0), limits)


def is_larger(boxes: torch.Tensor, side: float) -> torch.Tensor:
    """Whether both sides of boxes [..., 4] xyxy have at least this length: bool [...]."""
    return ((boxes[..., 2:] - boxes[..., :2]) >= side).all(dim=-1)


def grid_of_anchors(height: int, width: int, canvas: tuple[int, int], shapes: torch.Tensor) -> torch.Tensor:
    """The anchors of a feature map: [height * width * A, 4] xyxy in pixels, as torchvision's AnchorGenerator has them.

    Args:
        height: Height of the feature map.
        width: Width of the feature map.
        canvas: Height and width of the batch of images.
        shapes: Anchors around the origin, [A, 4].
    """
    y = torch.arange(height, device=shapes.device) * (canvas[0] // height)
    x = torch.arange(width, device=shapes.device) * (canvas[1] // width)
    rows, columns = y[:, None].expand(height, width), x[None].expand(height, width)
    return (torch.stack((columns, rows, columns, rows), dim=-1)[:, :, None] + shapes).reshape(-1, 4)


def best(scores: torch.Tensor, count: int, nothing: float) -> tuple[torch.Tensor, torch.Tensor]:
    """The ``count`` best scores of each row, descending, and their indices; filled up if a row is shorter.

    Args:
        scores: [B, N].
        count: Number of scores to return.
        nothing: Score of the filling, below every score; its index is 0.
    """
    filling = scores.new_full((1, 1), nothing).expand(scores.shape[0], count)
    found, index = torch.cat((scores, filling), dim=1).topk(count, dim=1)
    return found, torch.where(found > nothing, index, torch.zeros_like(index))


def rows_at(values: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """The rows of ``values`` [B, N, 4] at ``index`` [B, K]: [B, K, 4]."""
    return values.gather(1, index[..., None].expand(index.shape[0], index.shape[1], values.shape[2]))
