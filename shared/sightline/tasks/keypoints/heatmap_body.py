"""Bodies of the heat-map network: features of crops at a stride of 4."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import nn
from torchvision.models import resnet
from torchvision.models._utils import IntermediateLayerGetter

from sightline.errors import ConfigurationError
from sightline.models.backbone import TimmBody
from sightline.models.backbone_names import RESNETS, TIMM, unknown_backbone
from sightline.tasks.keypoints.settings import HeatmapNetwork

_DECONVOLUTIONS = 3
"""From the stride of 32 of a body to that of the maps."""

_GROUPS = 16


class HighResolutionBody(TimmBody):
    """An HRNet of timm, whose finest features are used, before they are widened for classification."""

    def __init__(self, name: str) -> None:
        nn.Module.__init__(self)
        import timm

        if name not in timm.list_models():
            raise unknown_backbone(TIMM + name, [TIMM + known for known in timm.list_models("hrnet*")])
        self.create: Callable[..., nn.Module] = partial(
            timm.create_model, name, features_only=True, feature_location="", out_indices=(1,)
        )
        self.network = self.create()
        self.channels: list[int] = self.network.feature_info.channels()  # type: ignore[union-attr, operator]


class Features(nn.Module):
    """A body, and deconvolutions if its coarsest features are used.

    Attributes:
        out_channels: Number of channels of the features.
    """

    def __init__(self, model: HeatmapNetwork) -> None:
        super().__init__()
        if model.is_high_resolution:
            body = HighResolutionBody(model.backbone.removeprefix(TIMM))
            self.body: nn.Module = body
            self.deconvolutions = nn.Sequential()
            self.out_channels = body.channels[0]
        else:
            self.body, channels = coarse_body(model)
            self.deconvolutions = _deconvolutions(channels, model)
            self.out_channels = model.deconvolution_channels

    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        """Features float [N, out_channels, H / 4, W / 4] of normalized crops float [N, 3, H, W]."""
        features = list(self.body(crops).values())[-1]
        refined: torch.Tensor = self.deconvolutions(features)
        return refined


def coarse_body(model: HeatmapNetwork) -> tuple[nn.Module, int]:
    """A body whose last features have a stride of 32, and their number of channels.

    Raises:
        ConfigurationError: There is no such backbone.
    """
    if model.backbone.startswith(TIMM):
        timm_body = TimmBody(model.backbone.removeprefix(TIMM), max(model.crop_hw))
        return timm_body, timm_body.channels[-1]
    name = model.backbone.removesuffix("_gn")
    if name not in RESNETS:
        raise unknown_backbone(model.backbone, [*RESNETS, *(f"{known}_gn" for known in RESNETS)])
    norm: Callable[[int], nn.Module] = partial(nn.GroupNorm, 32) if model.backbone.endswith("_gn") else nn.BatchNorm2d
    network = getattr(resnet, name)(weights=None, norm_layer=norm)
    return IntermediateLayerGetter(network, {"layer4": "0"}), network.inplanes


def _deconvolutions(channels: int, model: HeatmapNetwork) -> nn.Sequential:
    """Three deconvolutions that double the resolution each, with norms that do not depend on the other crops."""
    layers: list[nn.Module] = []
    for _ in range(_DECONVOLUTIONS):
        layers += [
            nn.ConvTranspose2d(channels, model.deconvolution_channels, 4, stride=2, padding=1, bias=False),
            nn.GroupNorm(_GROUPS, model.deconvolution_channels),
            nn.ReLU(inplace=True),
        ]
        channels = model.deconvolution_channels
    return nn.Sequential(*layers)


def require_features(model: HeatmapNetwork) -> None:
    """Check that a backbone can be built, and can compute features of crops, without allocating memory.

    Raises:
        ConfigurationError: There is no such backbone, or it cannot compute crops of ``crop_hw``.
    """
    with torch.device("meta"):
        features = Features(model).eval()
        try:
            features(torch.empty(1, 3, *model.crop_hw))
        except NotImplementedError:
            pass  # an operation that cannot be computed without memory says nothing about the model
        except (RuntimeError, ValueError, TypeError, AssertionError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise ConfigurationError(
                f"model.backbone: {model.backbone} cannot compute crops of {model.crop_hw[1]} x {model.crop_hw[0]} "
                f"pixels ({reason}); choose another model.crop_hw or model.backbone"
            ) from error
