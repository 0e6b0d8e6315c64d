"""The names of the available backbones, without torch."""

from __future__ import annotations

from collections.abc import Sequence

from sightline.config.network import Detector
from sightline.errors import ConfigurationError
from sightline.names import unknown_name

RESNETS = (
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnext50_32x4d",
    "resnext101_32x8d",
    "resnext101_64x4d",
    "wide_resnet50_2",
    "wide_resnet101_2",
)
"""torchvision's ResNets; each also as ``<name>_gn`` with GroupNorm, for small batches and random initial weights."""

PYRAMID_STRIDES = (4, 8, 16, 32)
TIMM = "timm:"


def has_windows(name: str) -> bool:
    """Whether a backbone computes attention in windows, which are laid out for one image size."""
    return "swin" in name


def require_anchor_sizes(model: Detector, levels: int) -> None:
    """Require one anchor size per pyramid level, or one more for an additional coarser level.

    Args:
        model: The settings of the network.
        levels: Number of feature maps of its backbone.

    Raises:
        ConfigurationError: The number does not match.
    """
    if model.pyramid_levels - levels not in {0, 1}:
        raise ConfigurationError(
            f"model.anchor_sizes: {list(model.anchor_sizes)} are {model.pyramid_levels} sizes, one per pyramid "
            f"level, but {model.backbone} has {levels} levels, or {levels + 1} with an additional coarser one; "
            f"give {levels} or {levels + 1} sizes"
        )


def unknown_backbone(name: str, known: Sequence[str]) -> ConfigurationError:
    """The error for an unknown name of a backbone, with the closest known names."""
    all_names = f"torchvision's ResNets ({', '.join(RESNETS)}), each also as <name>_gn, and timm:<name>"
    return ConfigurationError(f"model.backbone: {unknown_name('backbone', name, known, all_names)}")
