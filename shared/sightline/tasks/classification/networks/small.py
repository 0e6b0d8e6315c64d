"""Small bodies for random initial weights."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from sightline.tasks.classification.settings import Cnn, TinyVgg

_VGG_CELLS = 4
"""Side of the feature map that TinyVGG passes to its heads, whatever the size of the image."""


class ResidualBlock(nn.Module):
    """Two convolutions with batch norms, and a shortcut (He et al., 2016).

    Args:
        inputs: Channels of the input.
        channels: Channels of the output.
        stride: Stride of the first convolution.
    """

    def __init__(self, inputs: int, channels: int, stride: int) -> None:
        super().__init__()
        self.path = nn.Sequential(
            nn.Conv2d(inputs, channels, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != channels:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, channels, 1, stride, bias=False), nn.BatchNorm2d(channels))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Compute [B, channels, H / stride, W / stride]."""
        return torch.relu(self.path(features) + self.shortcut(features))


class MeanAndMaximum(nn.Module):
    """The mean and the maximum of each channel: what is everywhere in an image, and what is in one place."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Compute [B, 2 * channels] from [B, channels, H, W]."""
        return torch.cat((features.mean(dim=(2, 3)), features.amax(dim=(2, 3))), dim=1)


def build_cnn(model: Cnn) -> tuple[nn.Module, int]:
    """The residual network, and its number of features."""
    layers: dict[str, nn.Module] = {
        "stem": nn.Sequential(
            nn.Conv2d(3, model.width, 5, stride=2, padding=2, bias=False),
            nn.BatchNorm2d(model.width),
            nn.ReLU(inplace=True),
        )
    }
    channels = model.width
    for stage in range(model.stages):
        wider = model.width * 2**stage
        blocks = [ResidualBlock(channels, wider, stride=2)]
        blocks += [ResidualBlock(wider, wider, stride=1) for _ in range(1, model.blocks)]
        layers[f"layer{stage + 1}"] = nn.Sequential(*blocks)
        channels = wider
    body = nn.Sequential()
    for name, layer in layers.items():
        body.add_module(name, layer)
    body.add_module("pool", MeanAndMaximum())
    return body, 2 * channels


def build_tiny_vgg(model: TinyVgg) -> tuple[nn.Module, int]:
    """TinyVGG, and its number of features."""

    def block(inputs: int) -> Iterator[nn.Module]:
        for channels in (inputs, model.width):
            yield nn.Conv2d(channels, model.width, 3, padding=1)
            yield nn.ReLU(inplace=True)
        yield nn.MaxPool2d(2)

    body = nn.Sequential(*block(3), *block(model.width), nn.AdaptiveAvgPool2d(_VGG_CELLS), nn.Flatten())
    return body, model.width * _VGG_CELLS**2
