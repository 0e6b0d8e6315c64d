"""Backbones by name, each with a feature pyramid."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import torch
from torch import nn
from torchvision.models import resnet
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.ops import FeaturePyramidNetwork, FrozenBatchNorm2d
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from sightline.config.network import Detector
from sightline.errors import ConfigurationError
from sightline.models.backbone_names import (
    PYRAMID_STRIDES,
    RESNETS,
    TIMM,
    has_windows,
    require_anchor_sizes,
    unknown_backbone,
)


class Backbone(nn.Module):
    """A body with feature maps at strides 4, 8, 16 and 32, and a feature pyramid on top of it.

    Args:
        body: Returns the feature maps, finest first.
        channels: Number of channels of each feature map.
        model: The number of its anchor sizes is the number of pyramid levels: one per feature map, optionally one more
            for a map at stride 64.

    Attributes:
        out_channels: Number of channels of every pyramid level.
        any_size: Whether the body can be traced for any image size; if not, it lays out windows for one size.

    Raises:
        ConfigurationError: The number of anchor sizes does not match.
    """

    def __init__(self, body: nn.Module, channels: list[int], model: Detector) -> None:
        super().__init__()
        require_anchor_sizes(model, len(channels))
        extra = model.pyramid_levels > len(channels)
        self.out_channels = model.fpn_channels
        self.any_size = not has_windows(model.backbone)
        self._compile, self._channels_last = model.compile, model.channels_last
        self.body = body
        self.fpn = FeaturePyramidNetwork(channels, model.fpn_channels, LastLevelMaxPool() if extra else None)

    def forward(self, images: torch.Tensor) -> OrderedDict[str, torch.Tensor]:
        """Compute pyramid levels float [B, out_channels, H / stride, W / stride], finest first.

        ``images`` are float [B, 3, H, W]; H and W are multiples of 32.
        """
        if self._channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        if self._compile and self.training:
            return compiled_features()(self, images)
        return _features(self, images)


def _features(backbone: Backbone, images: torch.Tensor) -> OrderedDict[str, torch.Tensor]:
    features: OrderedDict[str, torch.Tensor] = backbone.fpn(backbone.body(images))
    return features


@cache
def compiled_features() -> Callable[[Backbone, torch.Tensor], OrderedDict[str, torch.Tensor]]:
    """:func:`_features`, compiled on the first call; not the module, so that names of parameters and copies stay."""
    return torch.compile(_features)


def build_backbone(model: Detector) -> Backbone:
    """Build the backbone given by ``model.backbone``, with random weights.

    ``<resnet>`` has BatchNorm, which is frozen if training starts from pretrained weights (batches of a detector are
    too small to estimate its statistics); ``<resnet>_gn`` has GroupNorm; ``timm:<name>`` is any timm model that returns
    feature maps.

    Raises:
        ConfigurationError: There is no such backbone, or the number of anchor sizes does not match its pyramid.
    """
    if model.backbone.startswith(TIMM):
        body = TimmBody(model.backbone.removeprefix(TIMM), model.image_size)
        return Backbone(body, body.channels, model)
    name = model.backbone.removesuffix("_gn")
    if name not in RESNETS:
        raise unknown_backbone(model.backbone, [*RESNETS, *(f"{known}_gn" for known in RESNETS)])
    norm: Callable[[int], nn.Module] = FrozenBatchNorm2d if model.is_pretrained else nn.BatchNorm2d
    if model.backbone.endswith("_gn"):
        norm = partial(nn.GroupNorm, 32)
    network = getattr(resnet, name)(weights=None, norm_layer=norm)
    body = IntermediateLayerGetter(network, {f"layer{level + 1}": str(level) for level in range(4)})
    return Backbone(body, [network.inplanes // 8 * 2**level for level in range(4)], model)


def check_timm(model: Detector) -> None:
    """Check that a timm model can be used, by building it, and computing features, without allocating memory.

    Raises:
        ConfigurationError: There is no such model, it has no feature pyramid, it cannot compute images of any shape, or
            the number of anchor sizes does not match.
    """
    with torch.device("meta"):
        body = build_backbone(model).body.eval()
        height = -(-model.image_size // PYRAMID_STRIDES[-1]) * PYRAMID_STRIDES[-1]
        width = height // 2 // PYRAMID_STRIDES[-1] * PYRAMID_STRIDES[-1] or PYRAMID_STRIDES[-1]
        try:
            body(torch.empty(1, 3, height, width))
        except NotImplementedError:
            pass  # an operation that cannot be computed without memory says nothing about the model
        except (RuntimeError, ValueError, TypeError, AssertionError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise ConfigurationError(
                f"model.backbone: {model.backbone} cannot compute images of {width} x {height} pixels ({reason}); "
                "images are fitted to model.image_size and keep their shape, so choose a model for images of any "
                "shape, such as timm:convnext_tiny or timm:swin_tiny_patch4_window7_224"
            ) from error


class TimmBody(nn.Module):
    """A timm model that returns feature maps at the strides of the pyramid, channels first.

    Attributes:
        network: The model.
        channels: Number of channels of each feature map.
        create: Creates another model like it, with more arguments of ``timm.create_model``.
    """

    def __init__(self, name: str, image_size: int) -> None:
        super().__init__()
        import timm

        if name not in timm.list_models():
            raise unknown_backbone(TIMM + name, [TIMM + known for known in timm.list_models()])
        options: dict[str, Any] = {"features_only": True}
        if has_windows(name):
            # Windows are laid out for one image size; the layout must adapt to the batch.
            options |= {"img_size": -(-image_size // 32) * 32, "strict_img_size": False}
        try:
            strides = _feature_info(timm.create_model(name, **options)).reduction()
            levels = [strides.index(stride) for stride in PYRAMID_STRIDES]
            self.create: Callable[..., nn.Module] = partial(timm.create_model, name, out_indices=levels, **options)
            self.network = self.create()
            self.channels: list[int] = _feature_info(self.network).channels()
        except (RuntimeError, ValueError, AttributeError, TypeError, AssertionError) as error:
            raise ConfigurationError(
                f"model.backbone: timm's {name} has no feature maps at strides 4, 8, 16 and 32 ({error}); choose a "
                "convolutional or hierarchical model such as timm:convnext_tiny or timm:swin_tiny_patch4_window7_224"
            ) from error

    def forward(self, images: torch.Tensor) -> OrderedDict[str, torch.Tensor]:
        """Compute feature maps float [B, channels, H / stride, W / stride], finest first."""
        features = self.network(images)
        if str(getattr(self.network, "output_fmt", "NCHW")).endswith("NHWC"):
            features = [feature.permute(0, 3, 1, 2).contiguous() for feature in features]
        return OrderedDict((str(level), feature) for level, feature in enumerate(features))


def _feature_info(network: nn.Module) -> Any:  # noqa: ANN401  (timm.models.FeatureInfo, which has no types)
    return network.feature_info
