"""Checks of a configuration for keypoints before anything is trained."""

from __future__ import annotations

import importlib
import importlib.util

from sightline.config.schema import Config
from sightline.errors import ConfigurationError
from sightline.models.backbone_names import RESNETS, TIMM, unknown_backbone
from sightline.tasks.keypoints.settings import WHOLE_IMAGE, HeatmapNetwork


def check(config: Config) -> None:
    """Reject a top-down network that cannot be built or used.

    If timm is installed, its models are built without allocating weights; if not, as in the image of resolve, names of
    timm models are accepted and checked by train.

    Raises:
        ConfigurationError: There is no such backbone, or the whole image is to be an object of several classes.
    """
    model = config.model
    if not isinstance(model, HeatmapNetwork):
        return
    if model.boxes == WHOLE_IMAGE and len(config.data.classes) > 1:
        raise ConfigurationError(
            f"model.boxes: image, but there are {len(config.data.classes)} classes, and nothing tells which of them an "
            "image shows; train on one class, or set model.boxes to truth or to a detector"
        )
    if not model.backbone.startswith(TIMM):
        if model.backbone.removesuffix("_gn") not in RESNETS:
            raise unknown_backbone(model.backbone, [*RESNETS, *(f"{known}_gn" for known in RESNETS)])
    elif importlib.util.find_spec("timm"):
        importlib.import_module("sightline.tasks.keypoints.heatmap_body").require_features(model)
