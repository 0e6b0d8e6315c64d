"""The names of the backbones that there are, without torch."""

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
"""torchvision's; each also as ``<name>_gn`` with GroupNorm, which learns from random weights and small batches."""

PYRAMID_STRIDES = (4, 8, 16, 32)
TIMM = "timm:"


def require_anchor_sizes(model: Detector, levels: int) -> None:
    """Refuse another number of anchor sizes than one a pyramid level, or one more for a coarser level on top.

    Args:
        model: The network.
        levels: Feature maps of its backbone.

    Raises:
        ConfigurationError: The number does not fit.
    """
    if len(model.anchor_sizes) - levels not in {0, 1}:
        raise ConfigurationError(
            f"model.anchor_sizes: {list(model.anchor_sizes)} are {len(model.anchor_sizes)} sizes, one a pyramid "
            f"level, but {model.backbone} has {levels} levels, or {levels + 1} with a coarser one "
            f"on top; give {levels} or {levels + 1} sizes"
        )


def unknown_backbone(name: str, known: Sequence[str]) -> ConfigurationError:
    """The error of a name that no backbone has, with the nearest that exist."""
    all_names = f"torchvision's ResNets ({', '.join(RESNETS)}), each also as <name>_gn, and timm:<name>"
    return ConfigurationError(f"model.backbone: {unknown_name('backbone', name, known, all_names)}")
