"""Bodies of the heat-map network: features of crops at a stride of 4."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import nn
from torchvision.models import resnet
from torchvision.models._utils import IntermediateLayerGetter

from sightline.errors import ConfigurationError
from sightline.models.backbone import TimmBody
from sightline.models.backbone_names import RESNETS, TIMM, unknown_backbone
from sightline.tasks.keypoints.settings import HeatmapNetwork

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
    """A body and, unless it has fine features throughout, deconvolutions back to a stride of 4.

    Attributes:
        out_channels: Number of channels of the features.

    Raises:
        ConfigurationError: There is no such backbone.
    """

    def __init__(self, model: HeatmapNetwork) -> None:
        super().__init__()
        if model.is_high_resolution:
            body = HighResolutionBody(model.backbone.removeprefix(TIMM))
            self.body: nn.Module = body
            self.deconvolutions: nn.Module = _Finest()
            self.out_channels = body.channels[0]
        else:
            self.body, channels = _pyramid_body(model)
            self.deconvolutions = Deconvolutions(channels, model.deconvolution_channels)
            self.out_channels = model.deconvolution_channels

    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        """Features float [N, out_channels, H / 4, W / 4] of normalized crops float [N, 3, H, W]."""
        features: torch.Tensor = self.deconvolutions(list(self.body(crops).values()))
        return features


class _Finest(nn.Module):
    """The only features of an HRNet."""

    def forward(self, features: list[torch.Tensor]) -> torch.Tensor:
        return features[0]


class Deconvolutions(nn.Module):
    """Three deconvolutions from a stride of 32 to one of 4, each of which adds the body's features at its stride.

    Simple Baselines have no lateral connections; with them, as in a feature pyramid, keypoints are located more exactly
    after a short training.  The norms do not depend on the other crops of a batch.

    Args:
        channels: Number of channels of the body's features, finest first.
        width: Number of channels of the result.
    """

    def __init__(self, channels: Sequence[int], width: int) -> None:
        super().__init__()
        *finer, coarsest = channels
        widths = [coarsest, *([width] * (len(finer) - 1))]
        self.up = nn.ModuleList(nn.ConvTranspose2d(one, width, 4, stride=2, padding=1, bias=False) for one in widths)
        self.lateral = nn.ModuleList(nn.Conv2d(one, width, 1, bias=False) for one in reversed(finer))
        self.norm = nn.ModuleList(nn.GroupNorm(_GROUPS, width) for _ in finer)

    def forward(self, features: list[torch.Tensor]) -> torch.Tensor:
        """Features float [N, width, H / 4, W / 4] from features at strides 4, 8, 16 and 32."""
        *finer, found = features
        for up, lateral, norm, feature in zip(self.up, self.lateral, self.norm, reversed(finer), strict=True):
            found = norm(up(found) + lateral(feature)).relu()
        return found


def _pyramid_body(model: HeatmapNetwork) -> tuple[nn.Module, list[int]]:
    """A body with features at strides 4, 8, 16 and 32, and their numbers of channels.

    Raises:
        ConfigurationError: There is no such backbone.
    """
    if model.backbone.startswith(TIMM):
        timm_body = TimmBody(model.backbone.removeprefix(TIMM), max(model.crop_hw))
        return timm_body, timm_body.channels
    name = model.backbone.removesuffix("_gn")
    if name not in RESNETS:
        raise unknown_backbone(model.backbone, [*RESNETS, *(f"{known}_gn" for known in RESNETS)])
    norm: Callable[[int], nn.Module] = partial(nn.GroupNorm, 32) if model.backbone.endswith("_gn") else nn.BatchNorm2d
    network = getattr(resnet, name)(weights=None, norm_layer=norm)
    body = IntermediateLayerGetter(network, {f"layer{level + 1}": str(level) for level in range(4)})
    return body, [network.inplanes // 8 * 2**level for level in range(4)]


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
