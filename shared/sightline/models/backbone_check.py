"""What can be checked of a backbone before anything is built; without torch, unless it is a model of timm."""

from __future__ import annotations

import importlib.util

from sightline.config.network import Detector, Network
from sightline.models.backbone_names import PYRAMID_STRIDES, RESNETS, TIMM, require_anchor_sizes, unknown_backbone


def check_backbone(model: Network) -> None:
    """Refuse a backbone that cannot be built; a network without one is taken as it is.

    Where timm is installed its models are built without memory; where it is not, as in the image of resolve, the name
    of a timm model is taken as it is, and train finds out.

    Raises:
        ConfigurationError: There is no such backbone, or the number of anchor sizes does not fit its pyramid.
    """
    if not isinstance(model, Detector):
        return
    if not model.backbone.startswith(TIMM):
        if model.backbone.removesuffix("_gn") not in RESNETS:
            raise unknown_backbone(model.backbone, [*RESNETS, *(f"{known}_gn" for known in RESNETS)])
        require_anchor_sizes(model, levels=len(PYRAMID_STRIDES))
    elif importlib.util.find_spec("timm"):
        importlib.import_module("sightline.models.backbone").check_timm(model)
