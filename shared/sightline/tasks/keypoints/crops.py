"""Crops around objects."""

from __future__ import annotations

import torch

from sightline.tasks.keypoints.settings import HeatmapNetwork

_SAMPLES = 2
"""Sampling points per pixel of a crop and axis, so that objects which get smaller are averaged."""

_SCALE_CHANGE, _SHIFT = 0.15, 0.05
"""Random changes of crops in training, relative to their size, as boxes of a detector are not exact."""


def crop_regions(boxes_xyxy: torch.Tensor, model: HeatmapNetwork) -> torch.Tensor:
    """The regions of crops: boxes with padding, widened or heightened to the shape of a crop.

    Args:
        boxes_xyxy: float32 [..., 4].
        model: The settings of the network.

    Returns:
        float32 [..., 4], xyxy; regions may extend beyond the image, where crops are gray.
    """
    height, width = model.crop_hw
    center = (boxes_xyxy[..., :2] + boxes_xyxy[..., 2:]) / 2
    across, down = (boxes_xyxy[..., 2:] - boxes_xyxy[..., :2]).clamp(min=1e-3).unbind(dim=-1)
    half_height = torch.maximum(down, across * (height / width)) * (model.box_padding / 2)
    half = torch.stack((half_height * (width / height), half_height), dim=-1)
    return torch.cat((center - half, center + half), dim=-1)


def varied_regions(regions: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Regions [N, 4] with random changes of size and place."""
    random = 2 * torch.rand((len(regions), 3), generator=generator).to(regions) - 1
    center, half = (regions[:, :2] + regions[:, 2:]) / 2, (regions[:, 2:] - regions[:, :2]) / 2
    center = center + 2 * half * _SHIFT * random[:, :2]
    half = half * (1 + _SCALE_CHANGE * random[:, 2:])
    return torch.cat((center - half, center + half), dim=1)


def cut_crops(images: torch.Tensor, places: torch.Tensor, regions: torch.Tensor, model: HeatmapNetwork) -> torch.Tensor:
    """Cut crops out of images, resized to ``crop_hw``.

    Args:
        images: float [B, 3, H, W], normalized.
        places: [N], the image of each region.
        regions: float32 [N, 4], xyxy in pixels.
        model: The settings of the network.

    Returns:
        float [N, 3, *crop_hw].
    """
    numbered = torch.cat((places[:, None].to(regions), regions), dim=1)
    crops: torch.Tensor = torch.ops.torchvision.roi_align(images, numbered, 1.0, *model.crop_hw, _SAMPLES, True)
    return crops


def keypoints_in_maps(keypoints: torch.Tensor, regions: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Keypoints [N, K, 3] in cells of the maps of regions [N, 4]; ``size`` is the height and width of a map."""
    corner, sides = regions[:, None, :2], regions[:, None, 2:] - regions[:, None, :2]
    cells = sides.new_tensor((size[1], size[0]))
    return torch.cat(((keypoints[..., :2] - corner) / sides * cells, keypoints[..., 2:]), dim=-1)


def keypoints_in_image(points: torch.Tensor, regions: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """The reverse of :func:`keypoints_in_maps`: keypoints [..., K, 3] of regions [..., 4] in pixels."""
    corner = regions[..., None, :2]
    sides = regions[..., None, 2:] - corner
    cells = sides.new_tensor((size[1], size[0]))
    return torch.cat((points[..., :2] / cells * sides + corner, points[..., 2:]), dim=-1)
