"""Checks of a backbone before it is built; without torch, except for timm models."""

from __future__ import annotations

import importlib.util

from sightline.config.network import Detector, Network
from sightline.models.backbone_names import PYRAMID_STRIDES, RESNETS, TIMM, require_anchor_sizes, unknown_backbone


def check_backbone(model: Network) -> None:
    """Reject a backbone that cannot be built; networks without a backbone are accepted.

    If timm is installed, its models are built without allocating weights; if not, as in the image of resolve, names of
    timm models are accepted and checked by train.

    Raises:
        ConfigurationError: There is no such backbone, or the number of anchor sizes does not match its pyramid.
    """
    if not isinstance(model, Detector):
        return
    if not model.backbone.startswith(TIMM):
        if model.backbone.removesuffix("_gn") not in RESNETS:
            raise unknown_backbone(model.backbone, [*RESNETS, *(f"{known}_gn" for known in RESNETS)])
        require_anchor_sizes(model, levels=len(PYRAMID_STRIDES))
    elif importlib.util.find_spec("timm"):
        importlib.import_module("sightline.models.backbone").check_timm(model)
